import { deflateSync } from 'node:zlib'
import { canonicalize } from '@kest/core'
import { refused } from '../outcome.js'
import { entryOn, payloadOn, signText } from '../support/forge.js'
import { everywhere, type Group } from './attack.js'
import { honest } from './honest.js'

const BIG = 2_000_000

export const FLOODS: Group = {
  title: 'Floods',
  attacks: [
    {
      attack: 'sends more than 64 entries',
      ...everywhere(refused('ERR_KEST_LIMIT')),
      why: 'bounds before work',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const { jws, hash } = entryOn(mallory.signer, [root])
        return mallory.sends([root, ...Array<string>(64).fill(jws)], { tips: [hash] })
      },
    },
    {
      attack: 'sends an entry of more than 16 KiB',
      ...everywhere(refused('ERR_KEST_LIMIT')),
      why: 'bounds before work',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        return mallory.sends([root, entryOn(mallory.signer, [root], { metadata: 'x'.repeat(16_384) }).jws])
      },
    },
    {
      attack: 'sends a decompression bomb',
      ...everywhere(refused('ERR_KEST_LIMIT')),
      why: 'inflation stops at its bound',
      play: async (mallory) => {
        const passport = await honest(mallory)
        const bomb = deflateSync(Buffer.alloc(BIG, ' ')).toString('base64url')
        return mallory.sends(passport, { members: { 'kest.passport_z': bomb } })
      },
    },
    {
      attack: 'nests metadata deeper than 64',
      ...everywhere(refused('ERR_KEST_LIMIT')),
      why: 'bounds before work',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const nested = '['.repeat(64) + ']'.repeat(64)
        const json = canonicalize(payloadOn(mallory.signer, [root])).replace(
          '"metadata":null',
          `"metadata":${nested}`,
        )
        return mallory.sends([root, signText(mallory.signer, json).jws])
      },
    },
    {
      attack: 'sends more than four certificates in an entry',
      ...everywhere(refused('ERR_KEST_LIMIT')),
      why: 'bounds before work',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const [leaf] = mallory.signer.header.x5c ?? []
        const text = canonicalize(payloadOn(mallory.signer, [root]))
        return mallory.sends([root, signText(mallory.signer, text, { x5c: Array(5).fill(leaf) }).jws])
      },
    },
    {
      attack: 'adds more than 256 taints',
      ...everywhere(refused('ERR_KEST_LIMIT')),
      why: 'they would be inherited for ever',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const taints = ['pii', ...Array.from({ length: 256 }, (_, n) => `t${n}`)]
        return mallory.sends([root, entryOn(mallory.signer, [root], { added_taints: taints, taints }).jws])
      },
    },
    {
      attack: 'sends headers of more than 16 KiB',
      ...everywhere(refused('HTTP 431')),
      why: 'Node refuses them',
      play: async (mallory) => {
        const passport = await honest(mallory)
        return mallory.sends(passport, { members: { 'kest.task': 'x'.repeat(16_384) } })
      },
    },
  ],
}
