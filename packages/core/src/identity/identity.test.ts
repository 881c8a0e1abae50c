import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { inspect } from 'node:util'
import { calculateJwkThumbprint } from 'jose'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { failure, vectors } from '../../tests/support/signed.js'
import { KestError } from '../errors.js'
import { verifySignature } from '../jws/verify-signature.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { thumbprint } from './jwk.js'
import { jwksOf } from './jwks.js'
import { createKeyIdentity } from './key-identity.js'
import type { KeyQuery, KeySource, VerificationKey } from './key-source.js'
import { createKeySource } from './keys.js'
import { LocalEd25519Provider } from './local.js'
import { MockIdentityProvider } from './mock.js'

/** Throw-away keys of every kind that is allowed. */
const keys: readonly (readonly [string, KeyObject])[] = [
  ['EdDSA', generateKeyPairSync('ed25519').privateKey],
  ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
  ['ES384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey],
  ['PS256', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey],
]
const secretsOf = (jwk: JsonWebKey): string[] =>
  [jwk.d, jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi].filter((part) => part !== undefined)

const find = (source: KeySource, principal: string): readonly VerificationKey[] =>
  source.find({ principal } as KeyQuery) as readonly VerificationKey[]

afterEach(() => {
  vi.unstubAllEnvs()
})

const A = 'spiffe://example.org/a'

describe('createKeyIdentity', () => {
  it.each(keys)('F-ID-01 K-SIGNER signs with a key for %s, as one snapshot', (alg, key) => {
    for (const form of [key, key.export({ format: 'jwk' })]) {
      const identity = createKeyIdentity('spiffe://example.org/a', form)
      const signer = identity.current()
      expect(identity.current()).toBe(signer)
      expect(identity.getWorkloadId()).toBe('spiffe://example.org/a')
      expect(signer).toMatchObject({ workloadId: 'spiffe://example.org/a', local: true, header: { alg } })
      const [verification] = find(createKeySource({ a: [identity.getPublicJwk()] }), 'a')
      const input = Buffer.from('x')
      const signature = signer.sign(input) as Uint8Array
      expect(verifySignature(signer.header.alg, verification?.key as KeyObject, input, signature)).toBe(true)
      expect(verification?.kid).toBe(signer.header.kid)
    }
  })

  it.each(keys)('names a key for %s by its RFC 7638 thumbprint', async (alg, key) => {
    const jwk = createKeyIdentity('spiffe://example.org/a', key).getPublicJwk()
    expect(jwk).toMatchObject({ alg, use: 'sig', kid: await calculateJwkThumbprint(jwk as never) })
    expect(thumbprint(key)).toBe(jwk.kid)
  })

  it.each(keys)('F-ID-04 NF-SEC-01 shows nothing of the private key for %s', async (_, key) => {
    const jwk = key.export({ format: 'jwk' })
    const secrets = secretsOf(jwk)
    expect(secrets.length).toBeGreaterThan(0)
    const identity = createKeyIdentity('spiffe://example.org/a', key)
    const signer = identity.current()
    const shown = [identity, signer, signer.sign, identity.getPublicJwk(), jwksOf(identity)].flatMap(
      (part) => [inspect(part, { depth: 20, showHidden: true, getters: true }), JSON.stringify(part) ?? ''],
    )
    for (const text of shown) for (const secret of secrets) expect(text).not.toContain(secret)
  })

  it('F-ID-04 shows nothing of a private key that it refuses', async () => {
    for (const [, key] of keys) {
      const jwk = key.export({ format: 'jwk' })
      const broken = [
        { ...jwk, x: 'AA', n: 'AA' },
        { ...jwk, kty: 'XYZ' },
        { ...jwk, crv: 'P-521', e: '' },
        { ...jwk, d: `${jwk.d?.slice(0, -4)}!` },
      ]
      for (const wrong of broken) {
        try {
          createKeyIdentity('spiffe://example.org/a', wrong)
        } catch (error) {
          expect(error).toBeInstanceOf(KestError)
          const text = inspect(error, { depth: 20, showHidden: true })
          for (const secret of secretsOf(wrong)) expect(text).not.toContain(secret)
        }
      }
    }
  })

  it.each<[string, string, unknown]>([
    ['no workload id', '', keys[0]?.[1]],
    ['a workload id that is a bare name', 'orders', keys[0]?.[1]],
    ['a workload id with a space in it', 'spiffe://example.org/an order', keys[0]?.[1]],
    ['a public key', A, generateKeyPairSync('ed25519').publicKey],
    ['a public JWK', A, generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })],
    ['a curve that is not allowed', A, generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey],
    ['RSA that is too short', A, generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey],
    ['nothing', A, undefined],
    ['text', A, '-----BEGIN PRIVATE KEY-----'],
  ])('refuses %s', async (_, workloadId, key) => {
    expect((await failure(() => createKeyIdentity(workloadId, key as KeyObject))).code).toBe(
      'ERR_KEST_CONFIG',
    )
  })
})

describe('LocalEd25519Provider', () => {
  it('F-ID-02 makes a key of its own, and warns once', () => {
    const logger = new RecordingLogger()
    const provider = new LocalEd25519Provider({ workloadId: 'spiffe://dev/a', logger })
    provider.current()
    provider.current()
    expect(logger.records).toHaveLength(1)
    expect(logger.records[0]).toMatchObject({ level: 'warn', details: { workload_id: 'spiffe://dev/a' } })
    const other = new LocalEd25519Provider({ logger, quiet: true })
    expect(logger.records).toHaveLength(1)
    expect(other.getPublicJwk().kid).not.toBe(provider.getPublicJwk().kid)
    expect(other.getWorkloadId()).toMatch(/^spiffe:\/\/kest\.local\/[a-zA-Z0-9._-]+$/)
    expect(provider.current().header.alg).toBe('EdDSA')
  })

  it('refuses an ID under another name, instead of making one up', async () => {
    const misspelled = { workloadID: 'spiffe://dev/a', quiet: true } as never
    expect((await failure(() => new LocalEd25519Provider(misspelled))).code).toBe('ERR_KEST_CONFIG')
  })

  it('NF-SEC-02 refuses in production, unless it is allowed', async () => {
    vi.stubEnv('NODE_ENV', 'production')
    expect((await failure(() => new LocalEd25519Provider({ quiet: true }))).code).toBe('ERR_KEST_CONFIG')
    vi.stubEnv('KEST_ALLOW_LOCAL_IDENTITY', 'yes')
    expect((await failure(() => new LocalEd25519Provider({ quiet: true }))).code).toBe('ERR_KEST_CONFIG')
    vi.stubEnv('KEST_ALLOW_LOCAL_IDENTITY', '1')
    expect(new LocalEd25519Provider({ quiet: true }).current().local).toBe(true)
  })

  it('warns on standard error when nobody else listens', () => {
    const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    new LocalEd25519Provider()
    expect(write).toHaveBeenCalledOnce()
    expect(write.mock.calls[0]?.[0]).toContain('LOCAL IDENTITY')
    write.mockRestore()
  })

  it('F-ID-04 shows nothing of its key', () => {
    const text = inspect(new LocalEd25519Provider({ quiet: true }), { depth: 20, showHidden: true })
    expect(text).not.toMatch(/PRIVATE|KeyObject|"d"/)
  })
})

describe('MockIdentityProvider', () => {
  it('F-ID-03 has the same key for the same name, and another for another', () => {
    const jwk = (name?: string) => new MockIdentityProvider(name).getPublicJwk()
    expect(jwk('hop1')).toEqual(jwk('hop1'))
    expect(jwk('hop1')).toEqual(jwk('spiffe://kest.test/hop1'))
    expect(jwk('hop1').x).not.toBe(jwk('hop2').x)
    expect(new MockIdentityProvider('hop1').getWorkloadId()).toBe('spiffe://kest.test/hop1')
    expect(new MockIdentityProvider('arn:aws:x').getWorkloadId()).toBe('arn:aws:x')
    expect(new MockIdentityProvider().getWorkloadId()).toBe('spiffe://kest.test/workload')
  })
})

describe('jwksOf', () => {
  it('K-PRINCIPAL publishes public keys, with what a verifier wants to know of them', () => {
    const [one, two] = [new MockIdentityProvider('a'), new MockIdentityProvider('b')]
    expect(jwksOf(one, two)).toEqual({ keys: [one.getPublicJwk(), two.getPublicJwk()] })
    expect(Object.keys(one.getPublicJwk()).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
  })
})

describe('createKeySource', () => {
  const ed25519 = new MockIdentityProvider('a').getPublicJwk()
  const rsa = createKeyIdentity('spiffe://example.org/a', keys[3]?.[1] as KeyObject).getPublicJwk()

  it('K-BIND answers with a principal’s own keys, from an object or a Map', () => {
    for (const source of [createKeySource({ a: [ed25519] }), createKeySource(new Map([['a', [ed25519]]]))]) {
      expect(source).toMatchObject({ name: 'keys', kind: 'keys', generation: 0 })
      expect(find(source, 'a')).toHaveLength(1)
      expect(find(source, 'a')).toBe(find(source, 'a'))
      for (const other of ['b', '__proto__', 'constructor', 'toString', ''])
        expect(find(source, other)).toEqual([])
    }
    expect(createKeySource({}, { name: 'pinned' }).name).toBe('pinned')
  })

  it('K-BIND takes own members only, also those that are called like others', () => {
    const inherited = Object.create({ a: [ed25519] }, { b: { value: [ed25519], enumerable: true } })
    expect(find(createKeySource(inherited), 'a')).toEqual([])
    expect(find(createKeySource(inherited), 'b')).toHaveLength(1)
    const named = JSON.parse(
      `{"__proto__":[${JSON.stringify(ed25519)}],"constructor":[${JSON.stringify(rsa)}]}`,
    )
    expect(find(createKeySource(named), '__proto__')).toHaveLength(1)
    expect(find(createKeySource(named), 'constructor')).toHaveLength(1)
  })

  it('K-ALG uses a key with its own algorithms, narrowed by its alg', () => {
    const algorithms = (jwk: JsonWebKey) => find(createKeySource({ a: [jwk] }), 'a')[0]?.algorithms
    const { alg: _, ...open } = rsa
    expect(algorithms(open)).toEqual(['PS256', 'RS256'])
    expect(algorithms(rsa)).toEqual(['PS256'])
    expect(algorithms({ ...open, alg: 'RS256' })).toEqual(['RS256'])
    expect(algorithms({ ...ed25519, alg: 'Ed25519' })).toEqual(['EdDSA'])
    expect(
      algorithms({ ...ed25519, alg: undefined, use: undefined, key_ops: ['verify'] } as JsonWebKey),
    ).toEqual(['EdDSA'])
  })

  it.each<[string, unknown]>([
    ['a private member', { ...ed25519, d: 'AA' }],
    ['a private member that is null', { ...ed25519, d: null }],
    ['an RSA factor', { ...rsa, p: 'AA' }],
    ['a symmetric key', { kty: 'oct', k: 'AAAA' }],
    ['a use that is not sig', { ...ed25519, use: 'enc' }],
    ['a use of certificates', { ...ed25519, use: 'x509-svid' }],
    ['key_ops without verify', { ...ed25519, key_ops: ['sign'] }],
    ['key_ops that are text', { ...ed25519, key_ops: 'verify' }],
    ['an alg of another key', { ...ed25519, alg: 'ES256' }],
    ['an alg that is no text', { ...ed25519, alg: ['EdDSA'] }],
    ['a kid that is no text', { ...ed25519, kid: 5 }],
    ['no kty', { ...ed25519, kty: undefined }],
    ['another kty', { ...ed25519, kty: 'EC' }],
    ['a point that is too short', { ...ed25519, x: 'AA' }],
    ['another curve', { ...ed25519, crv: 'Ed448' }],
    ['null', null],
    ['text', 'key'],
    ['an array', []],
  ])('refuses %s', async (_, jwk) => {
    expect((await failure(() => createKeySource({ a: [jwk as JsonWebKey] }))).code).toBe('ERR_KEST_CONFIG')
  })

  it.each<[string, unknown]>([
    ['no keys', { a: [] }],
    ['a key without its list', { a: ed25519 }],
    ['more keys than are tried', { a: Array(9).fill(ed25519) }],
    ['a principal without a name', { '': [ed25519] }],
    ['nothing', null],
    ['a list', [ed25519]],
  ])('refuses %s', async (_, map) => {
    expect((await failure(() => createKeySource(map as never))).code).toBe('ERR_KEST_CONFIG')
  })

  it('F-ID-04 does not show a private key that was listed by mistake', async () => {
    for (const [, key] of keys) {
      const jwk = key.export({ format: 'jwk' })
      const text = inspect(await failure(() => createKeySource({ a: [jwk] })), {
        depth: 20,
        showHidden: true,
      })
      for (const secret of secretsOf(jwk)) expect(text).not.toContain(secret)
    }
  })

  it('K-LIMIT judges RSA by the limits it is given', async () => {
    const limits = { rsaMinBits: 3072 }
    expect((await failure(() => createKeySource({ a: [rsa] }, { limits }))).code).toBe('ERR_KEST_CONFIG')
  })
})

describe('Wycheproof', () => {
  it('K-BIND takes the key sets of json_web_key_test.json that hold public keys of our kinds alone', () => {
    const text = vectors('wycheproof').find(({ name }) => name === 'json_web_key_test.json')?.text ?? ''
    interface Group {
      readonly comment: string
      readonly private?: { keys: JsonWebKey[] }
      readonly public?: { keys: JsonWebKey[] }
    }
    const { testGroups } = JSON.parse(text) as { testGroups: Group[] }
    expect(testGroups).toHaveLength(25)
    const taken: string[] = []
    for (const group of testGroups) {
      try {
        createKeySource({ a: (group.public ?? group.private)?.keys ?? [] })
        taken.push(group.comment)
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_KEST_CONFIG' })
      }
    }
    // That the factors of an RSA key are weak (ROCA) is for whoever lists it to know: its form is right.
    expect(taken).toEqual(['rs256', 'jws_rsa_roca_key'])
  })
})
