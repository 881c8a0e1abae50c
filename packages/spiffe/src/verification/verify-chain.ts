import type { KeyObject } from 'node:crypto'
import { type Limits, resolveLimits } from '@kest/core'
import { assertKnown } from '../assert-known.js'
import { SpiffeError } from '../errors.js'
import type { SpiffeId } from '../id/spiffe-id.js'
import { type Bundles, bundleOf } from './bundle-of.js'
import { assertValidAt, followPath, readChain } from './path.js'

/** Who a chain of certificates says that somebody is, and is right. */
export interface VerifiedChain {
  readonly id: SpiffeId
  /** The leaf's. */
  readonly publicKey: KeyObject
}

export interface VerifyChainOptions {
  /** When all certificates, and the authority, must be valid; milliseconds since the epoch. Default now. */
  readonly time?: number
  /** `certificates`, `rsaMinBits` and `rsaMaxBits` count here. */
  readonly limits?: Partial<Limits>
}

/**
 * Verifies an X.509-SVID (X509-SVID §5, RFC 5280 §6.1, SPEC §9):
 *
 * 1. every certificate can be read, and there are not too many;
 * 2. the leaf is an SVID: one SPIFFE ID with a path, not a CA, the key usage of a leaf;
 * 3. the others may sign: a CA, keyCertSign; none of them is a root;
 * 4. algorithms, sizes of keys and critical extensions are allowed and understood;
 * 5. each was issued by the next in the order given, the last by an authority of *the leaf's own trust domain*, within
 *    the path lengths and names that each allows;
 * 6. all of them, and the authority, are valid at `time`.
 *
 * An authority is a name, a key and an expiry; its other properties are not judged. Does *not* ask whether certificates
 * were revoked: SVIDs are short-lived, and an authority is withdrawn from its bundle. Does *not* show that whoever sent the
 * chain has the leaf's key.
 *
 * @param chain DER, the leaf first, then intermediates in order, without the root
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE`, `ERR_SPIFFE_X509_SVID`, `ERR_SPIFFE_CHAIN`, `ERR_SPIFFE_EXPIRED`;
 *   `ERR_SPIFFE_BUNDLE_UNKNOWN` when there is no bundle of its trust domain; what the bundle source throws
 *
 * @example
 * ```ts
 * const { id } = verifyX509Chain(chain, createBundleSet({ 'example.org': bundle }))
 * ```
 */
export function verifyX509Chain(
  chain: readonly Uint8Array[],
  bundles: Bundles,
  options: VerifyChainOptions = {},
): VerifiedChain {
  assertKnown('verifyX509Chain', options, ['time', 'limits'])
  const limits = resolveLimits(options.limits)
  const read = readChain(chain, limits)
  const { trustDomain } = read.id
  const bundle = bundleOf(trustDomain.name, bundles)
  if (bundle === undefined)
    throw new SpiffeError('ERR_SPIFFE_BUNDLE_UNKNOWN', `there is no bundle of ${trustDomain}`)
  const path = followPath(read, bundle, limits)
  assertValidAt(path, options.time ?? Date.now())
  return Object.freeze({ id: path.id, publicKey: path.publicKey })
}
