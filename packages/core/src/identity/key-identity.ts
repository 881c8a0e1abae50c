import { createPrivateKey, type JsonWebKey, KeyObject } from 'node:crypto'
import { KestConfigError, KestError } from '../errors.js'
import { createKeySigner } from '../jws/key-signer.js'
import { type PublicJwk, toPublicJwk } from './jwk.js'
import type { IdentityProvider, Signer } from './provider.js'

/** An identity whose private key is in this process. The key does not show. */
export interface KeyIdentity extends IdentityProvider {
  current(): Signer
  /** What verifiers need: the public key with `kid`, `alg` and `use`. */
  getPublicJwk(): PublicJwk
}

/**
 * An identity of a key that one has: Ed25519, P-256, P-384 or RSA (K-ALG). For a key that an operator mounts, and for
 * tests; a workload's identity is better had from its platform.
 *
 * @param workloadId the principal that entries name
 * @param privateKey a private key, as `KeyObject` or JWK
 * @throws {KestConfigError} for a key that is not private, cannot be read or is of another kind. No error shows it.
 */
export function createKeyIdentity(workloadId: string, privateKey: KeyObject | JsonWebKey): KeyIdentity {
  if (typeof workloadId !== 'string' || workloadId === '')
    throw new KestConfigError('identity: a workload id is needed')
  const key = toKeyObject(privateKey)
  let signer: Signer
  let publicJwk: PublicJwk
  try {
    const { alg, sign } = createKeySigner(key)
    publicJwk = Object.freeze(toPublicJwk(key, alg))
    signer = Object.freeze({
      workloadId,
      header: Object.freeze({ alg, kid: publicJwk.kid }),
      local: true,
      sign,
    })
  } catch (cause) {
    if (cause instanceof KestError) throw new KestConfigError(`identity: ${cause.message}`, { cause })
    throw cause
  }
  return Object.freeze({
    getWorkloadId: () => workloadId,
    current: () => signer,
    getPublicJwk: () => ({ ...publicJwk }),
  })
}

function toKeyObject(key: KeyObject | JsonWebKey): KeyObject {
  if (key instanceof KeyObject) return key
  try {
    return createPrivateKey({ key, format: 'jwk' })
  } catch {
    // The cause shows members of the key.
    throw new KestConfigError('identity: the private key cannot be read')
  }
}
