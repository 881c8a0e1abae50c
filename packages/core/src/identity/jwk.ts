import { createPublicKey, hash, type JsonWebKey, type KeyObject } from 'node:crypto'
import { canonicalize } from '../entry/canonicalize.js'
import { KestError } from '../errors.js'
import type { JwsAlgorithm } from '../jws/algorithm.js'
import { keyAlgorithms } from '../jws/key-algorithms.js'
import type { Limits } from '../limits.js'
import type { VerificationKey } from './key-source.js'

/** Members that only a private or a symmetric key has (RFC 7518 §6). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const
/** Members of which the thumbprint is made (RFC 7638 §3.2, RFC 8037 §2). */
const THUMBPRINT_MEMBERS = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
} as const

/** A public key as a workload publishes it. */
export interface PublicJwk extends JsonWebKey {
  readonly kid: string
  readonly alg: JwsAlgorithm
  readonly use: 'sig'
  /** Tokens by which an issuer vouches for this key (K-OIDCID), compact. */
  readonly vouched_by?: readonly string[]
}

/**
 * Makes a key that signatures can be checked with of a JWK (RFC 7517): a public key of K-ALG, for signatures. Its `alg`,
 * if it has one, narrows what the key is used with. Without a `kid` it gets its thumbprint's.
 *
 * @throws {KestError} `ERR_KEST_ALG` for anything else, `ERR_KEST_LIMIT` for RSA of a size that is not allowed. No
 *   error shows the key.
 */
export function toVerificationKey(jwk: unknown, limits: Limits): VerificationKey {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) throw refused('expected an object')
  const { use, key_ops: operations, alg, kid } = jwk as Record<string, unknown>
  for (const member of PRIVATE_MEMBERS) {
    if (Object.hasOwn(jwk, member)) throw refused(`it is not a public key alone: it has "${member}"`)
  }
  if (use !== undefined && use !== 'sig') throw refused('its use is not "sig"')
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) {
    throw refused('its key_ops do not include "verify"')
  }
  if (kid !== undefined && typeof kid !== 'string') throw refused('its kid is no text')
  const key = importPublic(jwk as JsonWebKey)
  const algorithms = narrowed(keyAlgorithms(key, limits), alg)
  return Object.freeze({ key, algorithms, kid: kid ?? thumbprint(key) })
}

/** The RFC 7638 thumbprint of a key, SHA-256, base64url: what a header's `kid` is. */
export function thumbprint(key: KeyObject): string {
  const jwk = exportPublic(key)
  const members = THUMBPRINT_MEMBERS[jwk.kty as keyof typeof THUMBPRINT_MEMBERS]
  return hash(
    'sha256',
    canonicalize(Object.fromEntries(members.map((name) => [name, jwk[name]]))),
    'base64url',
  )
}

/** The public half of a key, as a workload publishes it. */
export function toPublicJwk(key: KeyObject, alg: JwsAlgorithm): PublicJwk {
  return { ...exportPublic(key), kid: thumbprint(key), alg, use: 'sig' }
}

function exportPublic(key: KeyObject): JsonWebKey {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return publicKey.export({ format: 'jwk' })
}

function importPublic(jwk: JsonWebKey): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    // The cause shows members of the key.
    throw refused('it is no key that can be read')
  }
}

function narrowed(algorithms: readonly JwsAlgorithm[], alg: unknown): readonly JwsAlgorithm[] {
  if (alg === undefined) return algorithms
  // RFC 9864 names the curve.
  const name = alg === 'Ed25519' ? 'EdDSA' : alg
  const matching = algorithms.filter((algorithm) => algorithm === name)
  if (matching.length === 0)
    throw refused(`its alg ${JSON.stringify(alg)?.slice(0, 40)} is not one of the key's`)
  return matching
}

function refused(why: string): KestError {
  return new KestError('ERR_KEST_ALG', `JWK: ${why}`)
}
