import { setTimeout as delay } from 'node:timers/promises'
import { none, refused, undetectable, visible } from '../outcome.js'
import { entryOn, hopToken, payloadOf } from '../support/forge.js'
import { assertRan, bound, everywhere, type Group, NOT_THE_SENDERS, type Play } from './attack.js'

/** Whoever reads along sends it once more. */
const seen: Play = async (mallory) => {
  const { root } = await mallory.isCalled()
  const passport = [root, entryOn(mallory.signer, [root]).jws]
  assertRan(await mallory.sends(passport))
  return mallory.sends(passport, {
    by: mallory.house.agent('thief'),
    signer: mallory.house.world.identities.thief.current(),
  })
}

/** Waits until an entry is older than so many milliseconds. */
async function older(jws: string, ms: number): Promise<void> {
  const over = payloadOf(jws).timestamp_ms + ms
  while (Date.now() <= over) await delay(over - Date.now() + 1)
}

export const REPLAY: Group = {
  title: 'Replay',
  attacks: [
    {
      attack: 'sends the same request twice',
      none: visible('forked'),
      hop: NOT_THE_SENDERS,
      mtls: visible('forked'),
      why: 'the passport is its own; a token is used once. In the audit it looks like any retry',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const passport = [root, entryOn(mallory.signer, [root]).jws]
        const members = mallory.members(passport)
        assertRan(await mallory.sends(passport, { members }))
        return mallory.sends(passport, { members })
      },
    },
    {
      attack: 'another workload sends what it saw of it, with a token of its own',
      ...bound(visible('forked')),
      why: "the other one is no tip's principal",
      play: seen,
    },
    {
      attack: 'another workload is first to use its passport and token',
      none: undetectable,
      hop: undetectable,
      mtls: NOT_THE_SENDERS,
      why: 'a token that was not used yet is good for whoever has it, for 30 seconds; the rightful request is refused then',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const passport = [root, entryOn(mallory.signer, [root]).jws]
        const members = mallory.members(passport)
        const stolen = await mallory.sends(passport, { members, by: mallory.house.agent('thief') })
        if (mallory.house.binding === 'hop') {
          const rightful = await mallory.sends(passport, { members })
          if (rightful.code !== 'ERR_KEST_BINDING') throw new Error('the token was used twice')
        }
        return stolen
      },
    },
    {
      attack: 'forwards what it got together with the token that came with it',
      ...bound(undetectable),
      why: 'the token is for the origin that was called',
      play: async (mallory) => {
        const { passport, token } = await mallory.isCalled()
        return mallory.sends(passport, { token })
      },
    },
    {
      attack: 'sends a passport with the token of another one',
      none,
      hop: NOT_THE_SENDERS,
      mtls: none,
      why: 'the token names the tips',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const [one, other] = [entryOn(mallory.signer, [root]), entryOn(mallory.signer, [root])]
        return mallory.sends([root, one.jws], {
          token: hopToken(mallory.signer, mallory.origin, [other.hash]),
        })
      },
    },
    {
      attack: 'states a life of an hour in its token',
      none,
      hop: NOT_THE_SENDERS,
      mtls: none,
      why: 'at most 30 seconds are accepted',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const { jws, hash } = entryOn(mallory.signer, [root])
        const token = hopToken(mallory.signer, mallory.origin, [hash], { seconds: 3600 })
        return mallory.sends([root, jws], { token })
      },
    },
    {
      attack: 'sends a passport whose tip is older than `maxAgeMs`',
      ...everywhere(refused('ERR_KEST_FRESHNESS')),
      why: 'a bound on replay',
      receiver: { maxAgeMs: 100 },
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const { jws } = entryOn(mallory.signer, [root])
        await older(jws, 100)
        return mallory.sends([root, jws])
      },
    },
    {
      attack: 'keeps an old lineage alive under a fresh entry',
      ...everywhere(refused('ERR_KEST_FRESHNESS')),
      why: 'the oldest root is bounded by `maxLineageAgeMs`',
      receiver: { maxLineageAgeMs: 100 },
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        await older(root, 100)
        return mallory.sends([root, entryOn(mallory.signer, [root]).jws])
      },
    },
    {
      attack: "answers one user's request by continuing the lineage of another's",
      ...everywhere(undetectable),
      why: 'a workload may continue any lineage that it held within `maxLineageAgeMs`',
      believed: { trust: 40, taints: ['pii'], user: 'bob' },
      play: async (mallory) => {
        const bobs = await mallory.isCalled('bob')
        await mallory.isCalled('alice')
        return mallory.sends([bobs.root, entryOn(mallory.signer, [bobs.root]).jws])
      },
    },
  ],
}
