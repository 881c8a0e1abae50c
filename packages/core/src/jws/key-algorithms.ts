import type { KeyObject } from 'node:crypto'
import { KestError } from '../errors.js'
import { DEFAULT_LIMITS, type Limits } from '../limits.js'
import type { JwsAlgorithm } from './algorithm.js'

const EDDSA: readonly JwsAlgorithm[] = Object.freeze(['EdDSA'])
const ES256: readonly JwsAlgorithm[] = Object.freeze(['ES256'])
const ES384: readonly JwsAlgorithm[] = Object.freeze(['ES384'])
const RSA: readonly JwsAlgorithm[] = Object.freeze(['PS256', 'RS256'])

/** RSA exponents above this make a verification as dear as the stranger who chose them likes. */
const MAX_EXPONENT = 2n ** 32n

/**
 * The algorithms that a key is used with, the first of them for signing (K-ALG). It is the key that decides, never a
 * header.
 *
 * @throws {KestError} `ERR_KEST_ALG` for any key but Ed25519, P-256, P-384 and RSA with an odd exponent of 3…2³²;
 *   `ERR_KEST_LIMIT` for an RSA modulus that is too short or too long.
 */
export function keyAlgorithms(key: KeyObject, limits: Limits = DEFAULT_LIMITS): readonly JwsAlgorithm[] {
  const { asymmetricKeyType: type } = key
  if (type === 'ed25519') return EDDSA
  if (type === 'ec' && curveOf(key) === 'prime256v1') return ES256
  if (type === 'ec' && curveOf(key) === 'secp384r1') return ES384
  const details = key.asymmetricKeyDetails
  if (type !== 'rsa') {
    const name = details?.namedCurve ?? type ?? `${key.type} key`
    throw new KestError('ERR_KEST_ALG', `a key of Ed25519, P-256, P-384 or RSA is needed, not ${name}`)
  }
  const bits = details?.modulusLength ?? 0
  if (bits < limits.rsaMinBits || bits > limits.rsaMaxBits) {
    throw new KestError(
      'ERR_KEST_LIMIT',
      `RSA: ${bits} bits, allowed are ${limits.rsaMinBits}…${limits.rsaMaxBits}`,
    )
  }
  const exponent = details?.publicExponent ?? 0n
  if (exponent < 3n || exponent % 2n === 0n || exponent > MAX_EXPONENT) {
    throw new KestError('ERR_KEST_ALG', 'RSA: the public exponent is not an odd number of 3…2^32')
  }
  return RSA
}

/** Whether an algorithm is one of the key's kind, whatever its size. Never throws. */
export function fitsKey(alg: JwsAlgorithm, key: KeyObject): boolean {
  switch (alg) {
    case 'EdDSA':
      return key.asymmetricKeyType === 'ed25519'
    case 'ES256':
      return key.asymmetricKeyType === 'ec' && curveOf(key) === 'prime256v1'
    case 'ES384':
      return key.asymmetricKeyType === 'ec' && curveOf(key) === 'secp384r1'
    case 'PS256':
    case 'RS256':
      return key.asymmetricKeyType === 'rsa'
  }
}

/** Node asks OpenSSL anew each time, and puts the answer together. */
const curves = new WeakMap<KeyObject, string | undefined>()

function curveOf(key: KeyObject): string | undefined {
  let curve = curves.get(key)
  if (curve === undefined) {
    curve = key.asymmetricKeyDetails?.namedCurve
    curves.set(key, curve)
  }
  return curve
}
