/**
 * What fails in this package fails with a {@link SpiffeError}: a code out of a closed set, the cause kept. Where Kest
 * itself asks (an identity, a key source), it is the cause of the `KestError` that Kest expects.
 */

/** Code → what it means. The one place where codes are declared. */
const CODES = {
  ERR_SPIFFE_ID: 'not a SPIFFE ID, or one of another kind than is needed',
  ERR_SPIFFE_TRUST_DOMAIN: 'not the name of a trust domain',
  ERR_SPIFFE_CONFIG: 'an option is wrong',
  ERR_SPIFFE_ADDRESS: 'the address of the Workload API is absent or not of a form that the standard allows',
  ERR_SPIFFE_CERTIFICATE: 'a certificate cannot be read',
  ERR_SPIFFE_X509_SVID: 'an X.509-SVID breaks a rule, or its key is not that of its certificate',
  ERR_SPIFFE_JWT_SVID: 'a JWT-SVID breaks a rule, or does not verify',
  ERR_SPIFFE_BUNDLE: 'a trust bundle cannot be read, or is that of another domain',
  ERR_SPIFFE_BUNDLE_UNKNOWN: 'there is no bundle of the trust domain',
  ERR_SPIFFE_CHAIN: 'certificates do not lead from a leaf to an authority of its trust domain',
  ERR_SPIFFE_PEER: 'the peer of a connection is not who it must be',
  ERR_SPIFFE_UNAVAILABLE: 'the Workload API or a bundle endpoint cannot be reached, or broke off',
  ERR_SPIFFE_DENIED: 'the Workload API has no identity for this workload',
  ERR_SPIFFE_REFUSED: 'the Workload API refused the request for good',
  ERR_SPIFFE_RESPONSE: 'an answer of the Workload API breaks the standard',
  ERR_SPIFFE_NO_SVID: 'no identity was issued, or it was withdrawn',
  ERR_SPIFFE_EXPIRED: 'the identity is not valid now',
  ERR_SPIFFE_STALE: 'what is known is too old to be relied on',
  ERR_SPIFFE_TIMEOUT: 'it took too long',
  ERR_SPIFFE_ABORTED: 'the caller gave up',
  ERR_SPIFFE_CLOSED: 'it was closed',
  ERR_SPIFFE_DEV_AUTHORITY: 'the development authority cannot or must not do this',
} as const

/** The closed set of error codes. */
export type SpiffeErrorCode = keyof typeof CODES

/** All codes, for documentation and tests. */
export const SPIFFE_ERROR_CODES: readonly SpiffeErrorCode[] = Object.freeze(
  Object.keys(CODES),
) as readonly SpiffeErrorCode[]

const BRAND = Symbol.for('kest.spiffe.error')

/**
 * The error of this package. `instanceof` holds across two installed copies: it looks for a brand
 * (`Symbol.for('kest.spiffe.error')`). Classes that you derive are told by their prototype.
 */
export class SpiffeError extends Error {
  readonly code: SpiffeErrorCode

  constructor(code: SpiffeErrorCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.name = 'SpiffeError'
    Object.defineProperty(this, BRAND, { value: true })
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== SpiffeError) return Function.prototype[Symbol.hasInstance].call(this, value)
    return typeof value === 'object' && value !== null && BRAND in value
  }
}
