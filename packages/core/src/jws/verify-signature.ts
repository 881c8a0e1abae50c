import { constants, type KeyObject, verify } from 'node:crypto'
import type { JwsAlgorithm } from './algorithm.js'
import { isInRange } from './ecdsa.js'
import { toDer } from './ecdsa-der.js'
import { fitsKey } from './key-algorithms.js'

/** Order of Ed25519's group (RFC 8032 §5.1), little-endian as S is. */
const ED25519_ORDER = Buffer.from('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010', 'hex')

/** The salt of PS256 is as long as its hash (RFC 7518 §3.5). */
const PSS_SALT = 32

/**
 * Whether a signature holds. K-STRICT: ECDSA as r‖s of exact length with both in 1…n−1, Ed25519 with S < L, PS256 with
 * a salt of exactly 32 bytes. Answers false for signature bytes of any kind that do not hold, and for a key of another
 * kind than the algorithm's; never throws for them.
 *
 * Does *not* check whose key it is, nor that s is low ({@link isHighS}).
 */
export function verifySignature(
  alg: JwsAlgorithm,
  key: KeyObject,
  input: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!isWellFormed(alg, key, signature)) return false
  return verify(digestOf(alg), input, keyInput(alg, key), signatureInput(alg, signature))
}

/** As {@link verifySignature}, in the thread pool. Worth its overhead when there are several to verify. */
export function verifySignatureInPool(
  alg: JwsAlgorithm,
  key: KeyObject,
  input: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  if (!isWellFormed(alg, key, signature)) return Promise.resolve(false)
  return new Promise((resolve, reject) => {
    verify(digestOf(alg), input, keyInput(alg, key), signatureInput(alg, signature), (error, holds) => {
      if (error === null) resolve(holds)
      else reject(error)
    })
  })
}

function isWellFormed(alg: JwsAlgorithm, key: KeyObject, signature: Uint8Array): boolean {
  if (!fitsKey(alg, key)) return false
  return alg === 'EdDSA' ? isEd25519(signature) : isInRange(alg, signature)
}

function isEd25519(signature: Uint8Array): boolean {
  if (signature.length !== 64) return false
  for (let i = 31; i >= 0; i--) {
    const difference = (signature[32 + i] as number) - (ED25519_ORDER[i] as number)
    if (difference !== 0) return difference < 0
  }
  return false
}

function digestOf(alg: JwsAlgorithm): string | null {
  return alg === 'EdDSA' ? null : alg === 'ES384' ? 'sha384' : 'sha256'
}

function keyInput(alg: JwsAlgorithm, key: KeyObject): Parameters<typeof verify>[2] {
  switch (alg) {
    case 'EdDSA':
    case 'ES256':
    case 'ES384':
      return key
    case 'PS256':
      return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: PSS_SALT }
    case 'RS256':
      return { key, padding: constants.RSA_PKCS1_PADDING }
  }
}

function signatureInput(alg: JwsAlgorithm, signature: Uint8Array): Uint8Array {
  return alg === 'ES256' || alg === 'ES384' ? toDer(signature) : signature
}
