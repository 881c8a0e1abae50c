import { canonicalize } from '@kest/core'
import { refused, visible } from '../outcome.js'
import { baggageOf, compressed, entryOn, payloadOn, signText, twinOf } from '../support/forge.js'
import { assertRan, everywhere, type Group, type Play } from './attack.js'
import { honest } from './honest.js'

/** Spells its own entry otherwise: what is sent is what `spell` makes of it. */
function spelling(spell: (jws: string) => string): Play {
  return async (mallory) => {
    const { root } = await mallory.isCalled()
    return mallory.sends([root, spell(entryOn(mallory.signer, [root]).jws)])
  }
}

/** Signs its entry's JSON as `write` has it. */
function signing(write: (json: string) => string): Play {
  return async (mallory) => {
    const { root } = await mallory.isCalled()
    const json = canonicalize(payloadOn(mallory.signer, [root]))
    const written = write(json)
    if (written === json) throw new Error('it is as it should be')
    return mallory.sends([root, signText(mallory.signer, written).jws])
  }
}

/** Writes the header of its entry otherwise. */
function heading(write: (json: string) => string): Play {
  return async (mallory) => {
    const { root } = await mallory.isCalled()
    const header = JSON.stringify({ ...mallory.signer.header, typ: 'JWS' })
    const text = canonicalize(payloadOn(mallory.signer, [root]))
    return mallory.sends([root, signText(mallory.signer, text, write(header)).jws])
  }
}

/** A signature of 64 bytes ends in a character of which four bits mean nothing. */
function withUnusedBits(jws: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return jws.slice(0, -1) + alphabet[alphabet.indexOf(jws.at(-1) as string) + 1]
}

export const SPELLING: Group = {
  title: 'Spelling',
  attacks: [
    {
      attack: 'turns the s of its own ECDSA signature into n−s',
      ...everywhere(refused('ERR_KEST_SIGNATURE')),
      why: 'entries of Kest for TypeScript have a low s',
      play: spelling((jws) => twinOf(jws).jws),
    },
    {
      attack: "turns the s of another's into n−s, and builds on that",
      ...everywhere(refused('ERR_KEST_SIGNATURE')),
      why: 'the same',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const twin = twinOf(root).jws
        return mallory.sends([twin, entryOn(mallory.signer, [twin]).jws])
      },
    },
    {
      attack: "sends its entry, written as another implementation's, and its twin with n−s",
      ...everywhere(visible('duplicated')),
      why: 'other implementations may write a high s; the audit takes twins as one entry',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        const { jws } = entryOn(mallory.signer, [root], {
          runtime: { name: 'kest-python', version: '0.3.0' },
        })
        assertRan(await mallory.sends([root, jws]))
        return mallory.sends([root, twinOf(jws).jws])
      },
    },
    {
      attack: 'pads base64url',
      ...everywhere(refused('ERR_KEST_ENTRY_MALFORMED')),
      why: 'one spelling',
      play: spelling((jws) => `${jws}==`),
    },
    {
      attack: 'writes the other base64 alphabet',
      ...everywhere(refused('ERR_KEST_ENTRY_MALFORMED')),
      why: 'one spelling',
      play: async (mallory) => {
        const { root } = await mallory.isCalled()
        let jws: string
        // One signature in sixteen has neither of the two characters.
        do jws = entryOn(mallory.signer, [root]).jws
        while (!/[-_][^.]*$/.test(jws))
        const at = jws.lastIndexOf('.')
        const signature = jws.slice(at).replaceAll('-', '+').replaceAll('_', '/')
        return mallory.sends([root, jws.slice(0, at) + signature])
      },
    },
    {
      attack: 'sets bits of base64url that mean nothing',
      ...everywhere(refused('ERR_KEST_ENTRY_MALFORMED')),
      why: 'one spelling',
      play: spelling(withUnusedBits),
    },
    {
      attack: 'signs JSON with spaces',
      ...everywhere(refused('ERR_KEST_ENTRY_NOT_CANONICAL')),
      why: 'RFC 8785, to the byte',
      play: signing((json) => json.replaceAll('":', '": ')),
    },
    {
      attack: 'signs JSON with members in another order',
      ...everywhere(refused('ERR_KEST_ENTRY_NOT_CANONICAL')),
      why: 'the same',
      play: signing((json) => JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(json)).reverse()))),
    },
    {
      attack: 'signs JSON with an escape that needs none',
      ...everywhere(refused('ERR_KEST_ENTRY_NOT_CANONICAL')),
      why: 'the same',
      play: signing((json) => json.replace('"system"', '"\\u0073ystem"')),
    },
    {
      attack: 'signs JSON with a member twice',
      ...everywhere(refused('ERR_KEST_ENTRY_NOT_CANONICAL')),
      why: 'the same',
      play: signing((json) => json.replace('{', '{"trust_score":100,')),
    },
    {
      attack: 'signs JSON with `40.0` for 40',
      ...everywhere(refused('ERR_KEST_ENTRY_NOT_CANONICAL')),
      why: 'the same',
      play: signing((json) => json.replace('"trust_score":40', '"trust_score":40.0')),
    },
    {
      attack: 'names a member of the JWS header twice',
      ...everywhere(refused('ERR_KEST_ENTRY_HEADER')),
      why: 'the last would count here, and the first elsewhere',
      play: heading((json) => json.replace('{', '{"alg":"none",')),
    },
    {
      attack: 'says `crit` in the JWS header',
      ...everywhere(refused('ERR_KEST_ENTRY_HEADER')),
      why: 'nothing that must be understood is passed over',
      play: heading((json) => json.replace('{', '{"crit":["exp"],')),
    },
    {
      attack: 'writes the passport as an object',
      ...everywhere(refused('ERR_KEST_PASSPORT_MALFORMED')),
      why: 'a list of strings, and nothing around it',
      play: async (mallory) => {
        const passport = await honest(mallory)
        const json = JSON.stringify({ passport })
        return mallory.sends(passport, { members: { 'kest.passport_z': compressed(json) } })
      },
    },
    {
      attack: 'sends two passports in one header',
      ...everywhere(refused('ERR_KEST_BAGGAGE')),
      why: 'one value of each member',
      play: async (mallory) => {
        const [one, other] = [await honest(mallory), await honest(mallory)]
        return mallory.sends(one, {
          baggage: [one, other].map((each) => baggageOf(mallory.members(each))).join(','),
        })
      },
    },
    {
      attack: 'spells a member with an escape',
      ...everywhere(refused('ERR_KEST_BAGGAGE')),
      why: 'one spelling of each member',
      play: async (mallory) => {
        const passport = await honest(mallory)
        const baggage = baggageOf(mallory.members(passport)).replace('kest.passport_z', 'kest%2Epassport_z')
        return mallory.sends(passport, { baggage })
      },
    },
  ],
}
