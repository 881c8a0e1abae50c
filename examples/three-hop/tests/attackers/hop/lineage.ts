import { refused, undetectable, visible } from '../outcome.js'
import { ADMIN, entryOn, traceOf } from '../support/forge.js'
import { bound, ENFORCE, everywhere, type Group, NOT_THE_SENDERS, type Play } from './attack.js'

const rootAnew: Play = async (mallory) => {
  const { jws } = entryOn(mallory.signer, [], { labels: ADMIN })
  return mallory.sends([jws])
}

export const LINEAGE: Group = {
  title: 'Lineage',
  attacks: [
    {
      attack: 'drops the lineage it got and begins its own: trust 100, user admin',
      ...everywhere(visible('unlisted-root')),
      why: 'it is not on the list of roots: trust 0, taint `kest.unlisted-root`, nobody acts',
      believed: { trust: 0, taints: ['kest.unlisted-root'], user: null },
      play: rootAnew,
    },
    {
      attack: "drops the lineage it got, where the receiver has `semantics: 'enforce'`",
      ...everywhere(refused('ERR_KEST_ROOT')),
      why: 'unlisted roots are refused',
      receiver: ENFORCE,
      play: rootAnew,
    },
    {
      attack: 'drops the lineage it got, where there is no list of roots',
      ...everywhere(visible('root')),
      why: 'whoever can sign can begin: it is believed whole, and the audit says who began with which trust. List your `roots`',
      believed: { trust: 100, taints: [], user: 'admin' },
      rootsListed: false,
      play: rootAnew,
    },
    {
      attack: 'builds on what it got and on a root of its own',
      ...everywhere(visible('unlisted-root', 'identity-conflict')),
      why: 'trust is the least of the parents, taints are of all of them',
      believed: { trust: 0, taints: ['kest.unlisted-root', 'pii'], user: null },
      play: async (mallory) => {
        const { root, passport } = await mallory.isCalled()
        const own = entryOn(mallory.signer, [], { labels: { trace_id: traceOf(passport) } })
        const joined = entryOn(mallory.signer, [root, own.jws])
        return mallory.sends([root, own.jws, joined.jws])
      },
    },
    {
      attack: 'sends no lineage',
      ...everywhere(refused('ERR_KEST_LINEAGE_MISSING')),
      why: 'losing lineage never raises trust',
      play: (mallory) => mallory.sends([], { baggage: '' }),
    },
    {
      attack: 'sends an empty passport',
      ...bound(refused('ERR_KEST_LINEAGE_MISSING')),
      why: 'an empty passport is none, and nobody signed a tip of it',
      play: (mallory) => mallory.sends([]),
    },
    {
      attack: 'forwards what it got without an entry of its own',
      ...bound(undetectable),
      why: "an older prefix is as genuine as the whole; with a binding the sender must be a tip's principal",
      play: async (mallory) => mallory.sends((await mallory.isCalled()).passport),
    },
    {
      attack: 'forwards what it got, and strips `kest.chain_tip`',
      ...bound(undetectable),
      why: 'what is not announced is not compared',
      play: async (mallory) =>
        mallory.sends((await mallory.isCalled()).passport, { members: { 'kest.chain_tip': undefined } }),
    },
    {
      attack: 'does not export its entry',
      ...everywhere(visible('incomplete')),
      why: 'what came after it names it',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        return mallory.sends([root, entryOn(mallory.signer, [root]).jws], { exported: false })
      },
    },
    {
      attack: 'presents the lineage as it was before the last entry of its own',
      ...everywhere(undetectable),
      why: 'what a workload with a valid identity does not record, nobody can show',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const first = entryOn(mallory.signer, [root])
        entryOn(mallory.signer, [first.jws], { added_taints: ['malware'], taints: ['malware', 'pii'] })
        return mallory.sends([root, first.jws])
      },
    },
    {
      attack: 'cuts off entries and leaves the tip that was announced',
      none: refused('ERR_KEST_TIP'),
      hop: NOT_THE_SENDERS,
      mtls: refused('ERR_KEST_TIP'),
      why: 'the tips must equal `kest.chain_tip`, and those that a token names',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const first = entryOn(mallory.signer, [root])
        const tip = entryOn(mallory.signer, [first.jws])
        return mallory.sends([root, first.jws], { tips: [tip.hash] })
      },
    },
    {
      attack: 'sends the tip and no passport',
      ...everywhere(refused('ERR_KEST_TIP')),
      why: 'a tip without a passport is a passport that was lost',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const { hash } = entryOn(mallory.signer, [root])
        return mallory.sends([], { tips: [hash], members: { 'kest.passport_z': undefined } })
      },
    },
  ],
}
