import { LABEL } from '@kest/core'
import { refused, visible } from '../outcome.js'
import { ADMIN, entryOn } from '../support/forge.js'
import { ENFORCE, everywhere, type Group, OTHER_RAISERS } from './attack.js'
import { claiming } from './claiming.js'

const raised = claiming({ trust_score: 100 })

const overridden = claiming({ trust_score: 100, labels: { [LABEL.trustOverride]: '100' } })

const dropped = claiming({ taints: [] })

const sanitized = claiming({ removed_taints: ['pii'], taints: [], labels: { [LABEL.sanitizer]: 'true' } })

export const VALUES: Group = {
  title: 'Trust and taints',
  attacks: [
    {
      attack: 'claims more trust than its lineage gives',
      ...everywhere(visible('trust-raised')),
      why: 'effective values are recomputed; the claim is ignored',
      believed: { trust: 40, taints: ['pii'] },
      play: raised,
    },
    {
      attack: "claims more trust, where the receiver has `semantics: 'enforce'`",
      ...everywhere(refused('ERR_KEST_TRUST_RAISED')),
      why: 'a claim that does not hold is refused',
      receiver: ENFORCE,
      play: raised,
    },
    {
      attack: "overrides trust, as principals of one's own domain may by default",
      ...everywhere(visible('trust-overridden')),
      why: 'it may; narrow `raisers` where it should not. Its entry says who raised it',
      believed: { trust: 100, taints: ['pii'] },
      play: overridden,
    },
    {
      attack: 'overrides trust, and is not among `raisers`',
      ...everywhere(visible('trust-raised')),
      why: 'the override does not count',
      believed: { trust: 40, taints: ['pii'] },
      receiver: OTHER_RAISERS,
      play: overridden,
    },
    {
      attack: 'overrides the trust of an unlisted root, and removes its taint',
      ...everywhere(visible('unlisted-root')),
      why: "no raise counts over it, and nobody removes a taint of Kest's own",
      believed: { trust: 0, taints: ['kest.unlisted-root'], user: null },
      play: async (mallory) => {
        const root = entryOn(mallory.signer, [], { labels: ADMIN })
        const { jws } = entryOn(mallory.signer, [root.jws], {
          removed_taints: ['kest.unlisted-root'],
          labels: { [LABEL.trustOverride]: '100', [LABEL.sanitizer]: 'true' },
        })
        return mallory.sends([root.jws, jws])
      },
    },
    {
      attack: 'leaves a taint out',
      ...everywhere(visible('taint-dropped')),
      why: 'effective values are recomputed',
      believed: { trust: 40, taints: ['pii'] },
      play: dropped,
    },
    {
      attack: "leaves a taint out, where the receiver has `semantics: 'enforce'`",
      ...everywhere(refused('ERR_KEST_TAINT_DROPPED')),
      why: 'a claim that does not hold is refused',
      receiver: ENFORCE,
      play: dropped,
    },
    {
      attack: "removes a taint as a sanitizer, as principals of one's own domain may by default",
      ...everywhere(visible('taint-removed')),
      why: 'it may; narrow `raisers` where it should not. Its entry says who removed it',
      believed: { trust: 40, taints: [] },
      play: sanitized,
    },
    {
      attack: 'removes a taint as a sanitizer, and is not among `raisers`',
      ...everywhere(visible('taint-dropped')),
      why: 'the removal does not count',
      believed: { trust: 40, taints: ['pii'] },
      receiver: OTHER_RAISERS,
      play: sanitized,
    },
  ],
}
