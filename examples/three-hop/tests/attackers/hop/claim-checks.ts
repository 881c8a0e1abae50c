import { randomUUID } from 'node:crypto'
import { entryHash } from '@kest/core'
import { refused, undetectable } from '../outcome.js'
import { entryOn } from '../support/forge.js'
import type { Mallory, Sending } from '../support/mallory.js'
import { bound, everywhere, type Group, NOT_THE_SENDERS } from './attack.js'
import { honest } from './honest.js'

/** Puts a passport into the cache that all of them share. */
async function stored({ house }: Mallory, passport: readonly string[]): Promise<string> {
  const id = randomUUID()
  await house.cache.setIfAbsent(`kest:default:${id}`, JSON.stringify(passport), 60_000)
  return id
}

/** Sends an id in place of a passport. */
const byClaim = (id: string, tips: readonly string[] | undefined): Sending => ({
  ...(tips !== undefined && { tips }),
  members: { 'kest.passport_z': undefined, 'kest.claim_check': id },
})

export const CLAIM_CHECKS: Group = {
  title: 'Claim checks',
  attacks: [
    {
      attack: 'guesses an id',
      ...everywhere(refused('ERR_KEST_CLAIM_UNKNOWN')),
      why: 'ids have 122 random bits; an unknown one is never an empty passport',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const { hash } = entryOn(mallory.signer, [root])
        return mallory.sends([], byClaim(randomUUID(), [hash]))
      },
    },
    {
      attack: "sends the id and tip of another's passport",
      ...bound(undetectable),
      why: 'it is that passport, forwarded',
      believed: { user: 'bob' },
      play: async (mallory) => {
        const { passport, root } = await mallory.isCalled('bob')
        return mallory.sends([], byClaim(await stored(mallory, passport), [entryHash(root)]))
      },
    },
    {
      attack: 'sends an id without a tip',
      ...everywhere(refused('ERR_KEST_TIP')),
      why: 'an id says nothing of what it stands for',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const { jws, hash } = entryOn(mallory.signer, [root])
        const { members } = byClaim(await stored(mallory, [root, jws]), undefined)
        return mallory.sends([], { tips: [hash], members: { ...members, 'kest.chain_tip': undefined } })
      },
    },
    {
      attack: 'sends an id with the tip of another passport',
      none: refused('ERR_KEST_TIP'),
      hop: NOT_THE_SENDERS,
      mtls: refused('ERR_KEST_TIP'),
      why: 'the tips must equal `kest.chain_tip`, and those that a token names',
      play: async (mallory) => {
        const [one, other] = [await honest(mallory), await honest(mallory)]
        return mallory.sends([], byClaim(await stored(mallory, other), [entryHash(one[1] as string)]))
      },
    },
    {
      attack: 'puts another passport under an id in the cache',
      none: refused('ERR_KEST_TIP'),
      hop: NOT_THE_SENDERS,
      mtls: refused('ERR_KEST_TIP'),
      why: 'what the cache answers is verified, and must have the tips that were announced',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const rightful = entryOn(mallory.signer, [root])
        const id = await stored(mallory, [root, entryOn(mallory.signer, [root]).jws])
        return mallory.sends([], byClaim(id, [rightful.hash]))
      },
    },
    {
      attack: 'sends an id that leads elsewhere in the cache',
      ...everywhere(refused('ERR_KEST_BAGGAGE')),
      why: 'a lower-case UUID v4, and nothing else',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const { hash } = entryOn(mallory.signer, [root])
        return mallory.sends([], byClaim('../other:00000000-0000-4000-8000-000000000000', [hash]))
      },
    },
  ],
}
