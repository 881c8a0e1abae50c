import { LABEL } from '@kest/core'
import { refused, visible } from '../outcome.js'
import { ADMIN, entryOn } from '../support/forge.js'
import { ENFORCE, everywhere, type Group } from './attack.js'
import { claiming } from './claiming.js'

const switched = claiming({ labels: ADMIN })

export const IDENTITY: Group = {
  title: 'Identity',
  attacks: [
    {
      attack: 'signs another user into its entry',
      ...everywhere(visible('identity-switched')),
      why: 'it is no identity authority: nobody acts from there on, and the taint `kest.identity-switched` says why',
      believed: { trust: 40, taints: ['kest.identity-switched', 'pii'], user: null },
      play: switched,
    },
    {
      attack: "signs another user in, where the receiver has `semantics: 'enforce'`",
      ...everywhere(refused('ERR_KEST_IDENTITY_CONFLICT')),
      why: 'the statement is refused',
      receiver: ENFORCE,
      play: switched,
    },
    {
      attack: 'signs another user in, and does not say that it states that',
      ...everywhere(visible('identity-switched')),
      why: 'a label that differs is a statement',
      believed: { trust: 40, taints: ['kest.identity-switched', 'pii'], user: null },
      play: claiming({ labels: { [LABEL.identity]: ADMIN[LABEL.identity] as string } }),
    },
    {
      attack: 'signs another user in, and removes the taint of that in a second entry',
      ...everywhere(visible('identity-switched')),
      why: "nobody removes a taint of Kest's own",
      believed: { trust: 40, taints: ['kest.identity-switched', 'pii'], user: null },
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const first = entryOn(mallory.signer, [root], { labels: ADMIN })
        const second = entryOn(mallory.signer, [first.jws], {
          removed_taints: ['kest.identity-switched'],
          labels: { ...ADMIN, [LABEL.sanitizer]: 'true' },
        })
        return mallory.sends([root, first.jws, second.jws])
      },
    },
    {
      attack: 'names another user in unsigned baggage',
      ...everywhere(refused('ERR_KEST_IDENTITY_CONFLICT')),
      why: 'baggage is compared with the signed label, and never believed',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const passport = [root, entryOn(mallory.signer, [root]).jws]
        return mallory.sends(passport, { members: { 'kest.user': 'admin' } })
      },
    },
    {
      attack: 'sends two tips, of which one names another user',
      ...everywhere(refused('ERR_KEST_IDENTITY_CONFLICT')),
      why: 'the tips must agree on who acts',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const tips = [entryOn(mallory.signer, [root]), entryOn(mallory.signer, [root], { labels: ADMIN })]
        return mallory.sends([root, ...tips.map(({ jws }) => jws)])
      },
    },
    {
      attack: 'writes an identity that is none',
      ...everywhere(refused('ERR_KEST_ENTRY_SCHEMA')),
      why: 'the label has one form',
      play: claiming({ labels: { [LABEL.identity]: '{"user":["admin"]}' } }),
    },
  ],
}
