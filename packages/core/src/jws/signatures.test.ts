import {
  constants,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign as rawSign,
} from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { failure, vectors } from '../../tests/support/signed.js'
import { resolveLimits } from '../limits.js'
import type { JwsAlgorithm } from './algorithm.js'
import { isHighS, lowerS } from './ecdsa.js'
import { fitsKey, keyAlgorithms } from './key-algorithms.js'
import { createKeySigner } from './key-signer.js'
import { verifySignature, verifySignatureInPool } from './verify-signature.js'

/** Throw-away keys of every kind that is allowed. */
const pairs = {
  EdDSA: generateKeyPairSync('ed25519'),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  PS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
}
type Kind = keyof typeof pairs
const kinds = Object.keys(pairs) as Kind[]
const input = Buffer.from('header.payload')

const order = {
  ES256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  ES384: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
}
const toBigInt = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
const toBytes = (n: bigint, size: number): Buffer =>
  Buffer.from(n.toString(16).padStart(2 * size, '0'), 'hex')

/** Both ways of verifying agree, always. */
async function verifies(
  alg: JwsAlgorithm,
  key: KeyObject,
  data: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const here = verifySignature(alg, key, data, signature)
  expect(await verifySignatureInPool(alg, key, data, signature)).toBe(here)
  return here
}

describe('keyAlgorithms', () => {
  it.each(kinds)('K-ALG gives a key of %s its algorithm', (kind) => {
    const expected = kind === 'PS256' ? ['PS256', 'RS256'] : [kind]
    expect(keyAlgorithms(pairs[kind].publicKey)).toEqual(expected)
    expect(keyAlgorithms(pairs[kind].privateKey)).toEqual(expected)
    for (const other of kinds) expect(fitsKey(other, pairs[kind].publicKey)).toBe(other === kind)
  })

  it.each<[string, () => KeyObject]>([
    ['P-521', () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey],
    ['secp256k1', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey],
    ['Ed448', () => generateKeyPairSync('ed448').publicKey],
    ['X25519', () => generateKeyPairSync('x25519').publicKey],
    ['RSA-PSS', () => generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey],
    ['a secret', () => createSecretKey(randomBytes(32))],
    ['RSA with exponent 1', () => rsaWithExponent('AQ')],
    ['RSA with an even exponent', () => rsaWithExponent('BA')],
    ['RSA with a huge exponent', () => rsaWithExponent('AQAAAAAB')],
  ])('K-ALG refuses %s', async (_, key) => {
    expect((await failure(() => keyAlgorithms(key()))).code).toBe('ERR_KEST_ALG')
  })

  it('K-LIMIT bounds RSA both ways', async () => {
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
    expect((await failure(() => keyAlgorithms(small))).code).toBe('ERR_KEST_LIMIT')
    expect(keyAlgorithms(small, resolveLimits({ rsaMinBits: 1024 }))).toContain('PS256')
    const large = resolveLimits({ rsaMaxBits: 2047, rsaMinBits: 1024 })
    expect((await failure(() => keyAlgorithms(pairs.PS256.publicKey, large))).code).toBe('ERR_KEST_LIMIT')
  })
})

describe('createKeySigner', () => {
  it.each(kinds)('K-ALG signs with %s what verifies with it', async (kind) => {
    const { privateKey, publicKey } = pairs[kind]
    const signer = createKeySigner(privateKey)
    expect(signer.alg).toBe(kind)
    expect(await verifies(kind, publicKey, input, signer.sign(input))).toBe(true)
    expect(await verifies(kind, publicKey, Buffer.from('header.other'), signer.sign(input))).toBe(false)
  })

  it.each(['ES256', 'ES384'] as const)('K-LOWS signs with the low s of %s, always', async (alg) => {
    const { sign } = createKeySigner(pairs[alg].privateKey)
    for (let i = 0; i < 100; i++) {
      const data = Buffer.from(`${i}`)
      const signature = sign(data)
      expect(isHighS(alg, signature)).toBe(false)
      expect(verifySignature(alg, pairs[alg].publicKey, data, signature)).toBe(true)
    }
  })

  it.each(kinds)('refuses the public key of %s', async (kind) => {
    expect((await failure(() => createKeySigner(pairs[kind].publicKey))).code).toBe('ERR_KEST_ALG')
  })
})

describe.each(['ES256', 'ES384'] as const)('lowerS for %s', (alg) => {
  const n = order[alg]
  const size = alg === 'ES256' ? 32 : 48
  const signatureOf = (s: bigint): Buffer => Buffer.concat([toBytes(1n, size), toBytes(s, size)])

  it('K-LOWS knows the middle to the last bit', () => {
    for (const [s, high] of [
      [1n, false],
      [n / 2n - 1n, false],
      [n / 2n, false],
      [n / 2n + 1n, true],
      [n - 1n, true],
    ] as const) {
      expect(isHighS(alg, signatureOf(s))).toBe(high)
    }
  })

  it('K-LOWS turns s into n − s exactly where s is high', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: n - 1n }), (s) => {
        const lowered = lowerS(alg, signatureOf(s))
        expect(toBigInt(lowered.subarray(size))).toBe(s > n / 2n ? n - s : s)
        expect(toBigInt(lowered.subarray(0, size))).toBe(1n)
      }),
    )
  })

  it('K-STRICT refuses r or s of 0 and of n, and any other length, which the twin is not', async () => {
    const { publicKey, privateKey } = pairs[alg]
    const signature = Buffer.from(createKeySigner(privateKey).sign(input))
    const [r, s] = [toBigInt(signature.subarray(0, size)), toBigInt(signature.subarray(size))]
    const put = (a: bigint, b: bigint): Buffer => Buffer.concat([toBytes(a, size), toBytes(b, size)])
    expect(await verifies(alg, publicKey, input, put(r, n - s))).toBe(true)
    for (const wrong of [put(0n, s), put(r, 0n), put(0n, 0n), put(n, s), put(r, n), put(r, s ^ 1n)]) {
      expect(await verifies(alg, publicKey, input, wrong)).toBe(false)
    }
    for (const wrong of [
      signature.subarray(1),
      Buffer.concat([signature, Buffer.alloc(1)]),
      Buffer.alloc(0),
    ]) {
      expect(await verifies(alg, publicKey, input, wrong)).toBe(false)
    }
    const der = rawSign(alg === 'ES256' ? 'sha256' : 'sha384', input, privateKey)
    expect(await verifies(alg, publicKey, input, der)).toBe(false)
  })
})

describe('verifySignature', () => {
  it('K-STRICT refuses an Ed25519 S that is not reduced', async () => {
    const l = 2n ** 252n + 27742317777372353535851937790883648493n
    const { publicKey, privateKey } = pairs.EdDSA
    const signature = rawSign(null, input, privateKey)
    const s = toBigInt(signature.subarray(32).toReversed())
    for (const other of [s + l, l, l + 1n, 2n ** 256n - 1n]) {
      const bytes = toBytes(other, 32).toReversed()
      expect(
        await verifies('EdDSA', publicKey, input, Buffer.concat([signature.subarray(0, 32), bytes])),
      ).toBe(false)
    }
  })

  it.each([0, 20, 31, 33, 64])('K-STRICT refuses a PS256 salt of %i bytes', async (saltLength) => {
    const { publicKey, privateKey } = pairs.PS256
    const options = { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING }
    expect(
      await verifies('PS256', publicKey, input, rawSign('sha256', input, { ...options, saltLength: 32 })),
    ).toBe(true)
    expect(
      await verifies('PS256', publicKey, input, rawSign('sha256', input, { ...options, saltLength })),
    ).toBe(false)
  })

  it('K-ALG tells PS256 and RS256 apart', async () => {
    const { publicKey, privateKey } = pairs.PS256
    const pkcs1 = rawSign('sha256', input, privateKey)
    expect(await verifies('RS256', publicKey, input, pkcs1)).toBe(true)
    expect(await verifies('PS256', publicKey, input, pkcs1)).toBe(false)
    expect(await verifies('RS256', publicKey, input, createKeySigner(privateKey).sign(input))).toBe(false)
  })

  it('K-ALG never verifies with a key of another kind', async () => {
    for (const kind of kinds) {
      const signature = createKeySigner(pairs[kind].privateKey).sign(input)
      for (const alg of [...kinds, 'RS256'] as const) {
        const right = alg === kind
        expect(await verifies(alg, pairs[kind].publicKey, input, signature)).toBe(right)
      }
    }
  })

  it('answers false, and throws nothing, for any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...kinds), fc.uint8Array({ maxLength: 600 }), async (kind, bytes) => {
        expect(await verifies(kind, pairs[kind].publicKey, input, bytes)).toBe(false)
      }),
    )
  })
})

interface Group {
  readonly publicKeyPem?: string
  readonly tests: readonly { tcId: number; comment: string; msg: string; sig: string; result: string }[]
}

describe('Wycheproof', () => {
  it.each<[string, JwsAlgorithm, number]>([
    ['ed25519_test.json', 'EdDSA', 151],
    ['ecdsa_secp256r1_sha256_p1363_test.json', 'ES256', 262],
    ['ecdsa_secp384r1_sha384_p1363_test.json', 'ES384', 280],
    ['rsa_pss_2048_sha256_mgf1_32_test.json', 'PS256', 108],
  ])('K-STRICT agrees with %s', async (file, alg, count) => {
    const text = vectors('wycheproof').find(({ name }) => name === file)?.text ?? ''
    const { testGroups } = JSON.parse(text) as { testGroups: Group[] }
    let seen = 0
    for (const { publicKeyPem, tests } of testGroups) {
      const key = createPublicKey(publicKeyPem as string)
      for (const { tcId, comment, msg, sig, result } of tests) {
        const holds = await verifies(alg, key, Buffer.from(msg, 'hex'), Buffer.from(sig, 'hex'))
        expect(holds, `${tcId} ${comment}`).toBe(result === 'valid')
        seen++
      }
    }
    expect(seen).toBe(count)
  })
})

/** An RSA key that only its exponent is wrong with. */
function rsaWithExponent(e: string): KeyObject {
  const jwk = pairs.PS256.publicKey.export({ format: 'jwk' })
  return createPublicKey({ key: { ...jwk, e }, format: 'jwk' })
}
