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

/** A scheme, and something behind it. */
const URI = /^[A-Za-z][A-Za-z0-9+.-]*:\S+$/

/**
 * An identity of a key that one has: Ed25519, P-256, P-384 or RSA (K-ALG). For a key that an operator mounts, and for
 * tests; a workload's identity is better had from its platform.
 *
 * @param workloadId the principal that entries name: a URI, such as a SPIFFE ID, an ARN or `<iss>#<sub>`
 * @param privateKey a private key, as `KeyObject` or JWK
 * @throws {KestConfigError} for another workload id; for a key that is not private, cannot be read or is of another kind. No error shows it.
 */
export function createKeyIdentity(workloadId: string, privateKey: KeyObject | JsonWebKey): KeyIdentity {
  assertWorkloadId(workloadId)
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

/** A bare name is nobody's: two services of two systems would have the same, and no trust domain is in it. */
function assertWorkloadId(workloadId: unknown): void {
  if (typeof workloadId === 'string' && URI.test(workloadId)) return
  const name = typeof workloadId === 'string' && /^[\w.-]+$/.test(workloadId) ? workloadId : 'orders'
  throw new KestConfigError(
    `workloadId: expected a URI such as "spiffe://example.org/${name}", got ${JSON.stringify(workloadId)}`,
  )
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
