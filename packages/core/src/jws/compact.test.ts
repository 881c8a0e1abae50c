import { describe, expect, it } from 'vitest'
import { entryWith, failure } from '../../tests/support/signed.js'
import { canonicalize } from '../entry/canonicalize.js'
import { entryHash } from '../entry/hash.js'
import { parseEntry } from '../entry/parse.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { Signer } from '../identity/provider.js'
import { DEFAULT_LIMITS, resolveLimits } from '../limits.js'
import { signEntry } from './compact.js'

const signer = new MockIdentityProvider('hop1').current()
const answering = (answer: unknown, header: Signer['header'] = { alg: 'EdDSA', kid: 'k' }): Signer => ({
  workloadId: 'w',
  header,
  local: true,
  sign: () => answer as Uint8Array,
})

describe('signEntry', () => {
  it('F-AE-03 writes header, RFC 8785 payload and signature, and their hash', async () => {
    const entry = entryWith()
    const { jws, hash } = await signEntry(entry, signer)
    const [header, payload, signature] = jws.split('.').map((part) => Buffer.from(part, 'base64url'))
    expect(header?.toString()).toBe(`{"alg":"EdDSA","typ":"JWS","kid":"${signer.header.kid}"}`)
    expect(payload?.toString()).toBe(canonicalize(entry))
    expect(signature).toHaveLength(64)
    expect(hash).toBe(entryHash(jws))
    expect(parseEntry(jws, { limits: DEFAULT_LIMITS }).entry).toEqual(entry)
  })

  it('answers at once when the signer does, and else with a promise', async () => {
    const entry = entryWith()
    const now = signEntry(entry, signer)
    expect(now).not.toBeInstanceOf(Promise)
    const later = signEntry(entry, { ...signer, sign: async (input) => signer.sign(input) })
    expect(later).toBeInstanceOf(Promise)
    expect(await later).toEqual(now)
  })

  it('K-X5C writes the certificates in place of a kid', async () => {
    const x5c = ['AAAA', 'AQID']
    const { jws } = await signEntry(entryWith(), answering(Buffer.alloc(64), { alg: 'EdDSA', x5c }))
    expect(Buffer.from(jws.split('.')[0] as string, 'base64url').toString()).toBe(
      '{"alg":"EdDSA","typ":"JWS","x5c":["AAAA","AQID"]}',
    )
  })

  it.each<[string, Signer]>([
    [
      'throws',
      {
        ...signer,
        sign: () => {
          throw new RangeError('KMS')
        },
      },
    ],
    ['rejects', { ...signer, sign: () => Promise.reject(new RangeError('KMS')) }],
  ])('NF-SEC-02 says so when the signer %s', async (_, broken) => {
    const error = await failure(async () => signEntry(entryWith(), broken))
    expect(error).toMatchObject({ code: 'ERR_KEST_IDENTITY', cause: { message: 'KMS' } })
  })

  const n = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'
  const p256 = { alg: 'ES256', kid: 'k' } as const
  const ecdsa = (r: string, s: string): Buffer =>
    Buffer.from(r.padStart(64, '0') + s.padStart(64, '0'), 'hex')
  it.each<[string, Signer]>([
    ['nothing', answering(undefined)],
    ['text', answering('a'.repeat(64))],
    ['a signature that is too short', answering(Buffer.alloc(63))],
    ['a signature that is too long', answering(Buffer.alloc(65))],
    ['DER', answering(Buffer.alloc(71), p256)],
    ['r = 0', answering(ecdsa('0', '1'), p256)],
    ['s = 0', answering(ecdsa('1', '0'), p256)],
    ['s = n', answering(ecdsa('1', n), p256)],
    ['a high s', answering(ecdsa('1', `${n.slice(0, -1)}0`), p256)],
    ['an RSA signature of 1024 bits', answering(Buffer.alloc(128), { alg: 'PS256', kid: 'k' })],
    ['an alg that is not written', answering(Buffer.alloc(256), { alg: 'RS256' as 'PS256', kid: 'k' })],
    ['neither kid nor certificates', answering(Buffer.alloc(64), { alg: 'EdDSA' })],
    ['kid and certificates', answering(Buffer.alloc(64), { alg: 'EdDSA', kid: 'k', x5c: ['AAAA'] })],
  ])('NF-SEC-04 K-LOWS lets no signer answer %s', async (_, broken) => {
    expect((await failure(async () => signEntry(entryWith(), broken))).code).toBe('ERR_KEST_IDENTITY')
  })

  it('K-LIMIT refuses an entry that nobody would read, before the key is used', async () => {
    let used = 0
    const counting: Signer = {
      ...signer,
      sign: (input) => {
        used++
        return signer.sign(input)
      },
    }
    const entry = entryWith()
    const { jws } = await signEntry(entry, counting, DEFAULT_LIMITS)
    expect((await signEntry(entry, counting, resolveLimits({ entryBytes: jws.length }))).jws).toBe(jws)
    expect(used).toBe(2)
    const over = failure(async () =>
      signEntry(entry, counting, resolveLimits({ entryBytes: jws.length - 1 })),
    )
    expect((await over).code).toBe('ERR_KEST_LIMIT')
    expect(
      (await failure(async () => signEntry(entryWith({ metadata: 'x'.repeat(40_000) }), counting))).code,
    ).toBe('ERR_KEST_LIMIT')
    expect(used).toBe(2)
  })
})
