import { constants, type KeyObject, sign } from 'node:crypto'
import { KestError } from '../errors.js'
import type { Limits } from '../limits.js'
import type { SigningAlgorithm } from './algorithm.js'
import { lowerS } from './ecdsa.js'
import { fromDer } from './ecdsa-der.js'
import { keyAlgorithms } from './key-algorithms.js'

/** What a private key in this process signs with. The key itself does not show. */
export interface KeySigner {
  readonly alg: SigningAlgorithm
  /** Synchronous. ECDSA answers r‖s with s ≤ n/2 (K-LOWS). */
  sign(input: Uint8Array): Uint8Array
}

/**
 * Makes a signer of a private key: Ed25519 → EdDSA, P-256 → ES256, P-384 → ES384, RSA → PS256 (K-ALG).
 *
 * @throws {KestError} `ERR_KEST_ALG` for a key that is not private, or of another kind; `ERR_KEST_LIMIT` for RSA of a
 *   size that is not allowed.
 */
export function createKeySigner(privateKey: KeyObject, limits?: Limits): KeySigner {
  if (privateKey.type !== 'private')
    throw new KestError('ERR_KEST_ALG', `a ${privateKey.type} key signs nothing`)
  const alg = keyAlgorithms(privateKey, limits)[0] as SigningAlgorithm
  return Object.freeze({ alg, sign: signerOf(alg, privateKey) })
}

function signerOf(alg: SigningAlgorithm, key: KeyObject): KeySigner['sign'] {
  switch (alg) {
    case 'EdDSA':
      return (input) => sign(null, input, key)
    case 'ES256':
      return (input) => lowerS(alg, fromDer(sign('sha256', input, key), 32))
    case 'ES384':
      return (input) => lowerS(alg, fromDer(sign('sha384', input, key), 48))
    case 'PS256': {
      const options = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
      return (input) => sign('sha256', input, options)
    }
  }
}
