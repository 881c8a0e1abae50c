import { createPublicKey, verify } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { MockIdentityProvider } from '../identity/mock.js'
import type { Signer } from '../identity/provider.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import { signCompact } from './sign-compact.js'

const provider = new MockIdentityProvider('hop1')
const key = createPublicKey({ key: provider.getPublicJwk(), format: 'jwk' })
const signer = provider.current()

function signed(payload: string, by: Signer = signer): MaybePromise<string> {
  return signCompact('the text', 'JWS', payload, by, DEFAULT_LIMITS.entryBytes * 4)
}

/** What was signed, if the signature is of those very bytes. */
function payloadOf(jws: string): string {
  const dot = jws.lastIndexOf('.')
  const holds = verify(
    null,
    Buffer.from(jws.slice(0, dot)),
    key,
    Buffer.from(jws.slice(dot + 1), 'base64url'),
  )
  expect(holds).toBe(true)
  return Buffer.from(jws.split('.')[1] as string, 'base64url').toString('utf8')
}

function text(jws: MaybePromise<string>): string {
  if (isPromise(jws)) throw new TypeError('expected an answer at once')
  return jws
}

describe('signCompact', () => {
  it.each([
    ['nothing', ''],
    ['of ASCII', 'a'],
    ['of any characters', 'é€😀'],
    ['of a length at which bytes run out', 'a'.repeat(5_461)],
    ['long', '😀'.repeat(10_000)],
  ])('signs text that is %s', (_, payload) => {
    expect(payloadOf(text(signed(payload)))).toBe(payload)
    expect(payloadOf(text(signed('next')))).toBe('next')
  })

  it.each([true, false])('leaves its bytes to a signer that answers later (local: %s)', async (local) => {
    const slow: Signer = {
      ...signer,
      local,
      sign: async (input) => {
        await new Promise(setImmediate)
        return signer.sign(input)
      },
    }
    const pending = ['first', 'second', 'third'].map((payload) => signed(payload, slow))
    expect(payloadOf(text(signed('in between')))).toBe('in between')
    expect((await Promise.all(pending)).map(payloadOf)).toEqual(['first', 'second', 'third'])
  })

  it('leaves them to a signer that signs something else meanwhile', () => {
    const inner: string[] = []
    const nesting: Signer = {
      ...signer,
      sign: (input) => {
        inner.push(text(signed('inner')))
        return signer.sign(input)
      },
    }
    expect(payloadOf(text(signed('outer', nesting)))).toBe('outer')
    expect(inner.map(payloadOf)).toEqual(['inner'])
  })

  it('goes on after a signer that throws', () => {
    const broken: Signer = {
      ...signer,
      sign: () => {
        throw new Error('no key')
      },
    }
    expect(() => signed('lost', broken)).toThrow('the signer failed')
    expect(payloadOf(text(signed('next')))).toBe('next')
  })
})
