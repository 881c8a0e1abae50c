import type { SigningAlgorithm } from '../jws/algorithm.js'
import type { MaybePromise } from '../maybe-promise.js'
import type { PublicJwk } from './jwk.js'

/**
 * One consistent snapshot of an identity: name, key and certificates that belong together (K-SIGNER). The hook takes
 * it once per entry. Return the *same object* until the identity changes: its encoded header is cached by it.
 */
export interface Signer {
  /** The principal that the entry names: a SPIFFE ID, an ARN, `<iss>#<sub>`, … */
  readonly workloadId: string
  /** What tells a verifier which key this is: `kid` (RFC 7638 thumbprint) or `x5c` (K-X5C); `alg` fits the key. */
  readonly header: { readonly alg: SigningAlgorithm; readonly kid?: string; readonly x5c?: readonly string[] }
  /** The principal as an issuer of tokens calls it: `workloadId` is `<iss>#<sub>` then. Signed as labels `kest.iss` and `kest.sub`. */
  readonly subject?: { readonly iss: string; readonly sub: string }
  /** Whether the key is in this process; a remote key (KMS) costs a round trip. */
  readonly local: boolean
  /**
   * Signs the JWS signing input (ASCII). ECDSA answers r‖s (IEEE P1363) with s ≤ n/2 (K-LOWS).
   * Failing is throwing: an answer is a signature.
   *
   * @param input the signer's until it answers: with a promise, until that settles. After that its bytes are others.
   */
  sign(input: Buffer): MaybePromise<Uint8Array>
}

/**
 * Who this workload is (SPEC §6). Private keys stay behind it: nothing of this interface gives one out.
 *
 * An implementation throws, or rejects, when it has no identity *now* (expired, withdrawn, unreachable); Kest turns
 * that into `ERR_KEST_IDENTITY` and the operation does not run.
 */
export interface IdentityProvider {
  /** The current principal. */
  getWorkloadId(): string
  /** The current snapshot. */
  current(): MaybePromise<Signer>
  /** The public key, where the key itself is what others know this workload by; certificates speak for themselves. */
  getPublicJwk?(): PublicJwk
  /** Frees what it opened. Idempotent. */
  close?(): MaybePromise<void>
}
