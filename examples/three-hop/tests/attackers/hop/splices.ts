import { entryHash } from '@kest/core'
import { refused } from '../outcome.js'
import { entryOn, payloadOf } from '../support/forge.js'
import { everywhere, type Group } from './attack.js'
export const SPLICES: Group = {
  title: 'Splices',
  attacks: [
    {
      attack: 'builds on entries of two requests',
      ...everywhere(refused('ERR_KEST_TRACE')),
      why: 'a passport has one trace',
      play: async (mallory) => {
        const [one, other] = [await mallory.isCalled('alice'), await mallory.isCalled('bob')]
        const { jws } = entryOn(mallory.signer, [one.root, other.root])
        return mallory.sends([one.root, other.root, jws])
      },
    },
    {
      attack: 'puts an entry of another request beside its own',
      ...everywhere(refused('ERR_KEST_TRACE')),
      why: 'a passport has one trace',
      play: async (mallory) => {
        const [one, other] = [await mallory.isCalled('alice'), await mallory.isCalled('bob')]
        return mallory.sends([one.root, entryOn(mallory.signer, [one.root]).jws, other.root])
      },
    },
    {
      attack: 'takes an entry out',
      ...everywhere(refused('ERR_KEST_PARENT_UNKNOWN')),
      why: 'entries name their parents by hash',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        return mallory.sends([entryOn(mallory.signer, [root]).jws])
      },
    },
    {
      attack: 'puts a child before its parent',
      ...everywhere(refused('ERR_KEST_PARENT_UNKNOWN')),
      why: 'a parent is an earlier entry',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        return mallory.sends([entryOn(mallory.signer, [root]).jws, root])
      },
    },
    {
      attack: 'puts an entry in twice',
      ...everywhere(refused('ERR_KEST_DUPLICATE')),
      why: 'no entry occurs twice',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        return mallory.sends([root, root, entryOn(mallory.signer, [root]).jws])
      },
    },
    {
      attack: 'gives its entry the `entry_id` of its parent',
      ...everywhere(refused('ERR_KEST_DUPLICATE')),
      why: 'no `entry_id` occurs twice',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const { entry_id } = payloadOf(root)
        return mallory.sends([root, entryOn(mallory.signer, [root], { entry_id }).jws])
      },
    },
    {
      attack: 'changes what an entry of another says',
      ...everywhere(refused('ERR_KEST_SIGNATURE')),
      why: 'every signed byte is as its signer wrote it',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const [header, payload, signature] = root.split('.') as [string, string, string]
        const text = Buffer.from(payload, 'base64url')
          .toString()
          .replace('"trust_score":40', '"trust_score":90')
        const changed = `${header}.${Buffer.from(text).toString('base64url')}.${signature}`
        if (entryHash(changed) === entryHash(root)) throw new Error('nothing was changed')
        return mallory.sends([changed, entryOn(mallory.signer, [changed]).jws])
      },
    },
  ],
}
