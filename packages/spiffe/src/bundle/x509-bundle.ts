import type { JsonWebKey } from 'node:crypto'
import { assertKnown } from '../assert-known.js'
import { SpiffeError } from '../errors.js'
import { TrustDomain } from '../id/spiffe-id.js'
import { parseCertificate } from '../x509/certificate.js'

/** What a bundle says about itself (SPIFFE Trust Domain and Bundle §4.1). */
export interface BundleFacts {
  /** `spiffe_sequence`: grows with every change. */
  readonly sequence?: number
  /** `spiffe_refresh_hint`, in milliseconds: how often to ask again. */
  readonly refreshHintMs?: number
}

/** An {@link X509Bundle} in the SPIFFE format (SPIFFE Trust Domain and Bundle §4). */
export interface X509BundleDocument {
  readonly keys: readonly (JsonWebKey & { readonly use: 'x509-svid'; readonly x5c: readonly [string] })[]
  readonly spiffe_sequence?: number
  readonly spiffe_refresh_hint?: number
}

/**
 * The authorities of one trust domain: whoever they signed for is of that domain, and of no other. Fixed once made.
 *
 * It may be empty: then nothing of the domain verifies.
 */
export class X509Bundle {
  readonly trustDomain: TrustDomain
  /** DER certificates, each once. */
  readonly authorities: readonly Uint8Array[]
  readonly sequence?: number
  readonly refreshHintMs?: number
  readonly #known: ReadonlySet<string>

  /**
   * @param authorities DER certificates; those that occur twice count once
   * @throws {SpiffeError} `ERR_SPIFFE_BUNDLE` for one that cannot be read
   */
  constructor(
    trustDomain: TrustDomain | string,
    authorities: readonly Uint8Array[],
    facts: BundleFacts = {},
  ) {
    assertKnown('X509Bundle', facts, ['sequence', 'refreshHintMs'])
    this.trustDomain = typeof trustDomain === 'string' ? TrustDomain.parse(trustDomain) : trustDomain
    const byText = new Map(authorities.map((der) => [Buffer.from(der).toString('base64'), der]))
    for (const der of byText.values()) this.#check(der)
    this.authorities = Object.freeze([...byText.values()])
    this.#known = new Set(byText.keys())
    if (facts.sequence !== undefined) this.sequence = facts.sequence
    if (facts.refreshHintMs !== undefined) this.refreshHintMs = facts.refreshHintMs
    Object.freeze(this)
  }

  /** Whether a certificate is one of the authorities, byte for byte. */
  has(der: Uint8Array): boolean {
    return this.#known.has(Buffer.from(der).toString('base64'))
  }

  /** Whether it is of the same domain with the same authorities, in whatever order. */
  equals(other: X509Bundle): boolean {
    return (
      this.trustDomain.equals(other.trustDomain) &&
      this.authorities.length === other.authorities.length &&
      other.authorities.every((der) => this.has(der))
    )
  }

  /** As {@link parseSpiffeBundle} reads it: for a file, an endpoint, or evidence. Whose it is, it does not say. */
  toJSON(): X509BundleDocument {
    return {
      keys: this.authorities.map((der) => {
        const { publicKey } = parseCertificate(der)
        const x5c = [Buffer.from(der).toString('base64')] as const
        return { ...publicKey.export({ format: 'jwk' }), use: 'x509-svid', x5c }
      }),
      ...(this.sequence === undefined ? {} : { spiffe_sequence: this.sequence }),
      ...(this.refreshHintMs === undefined
        ? {}
        : { spiffe_refresh_hint: Math.ceil(this.refreshHintMs / 1000) }),
    }
  }

  #check(der: Uint8Array): void {
    try {
      parseCertificate(der)
    } catch (cause) {
      throw new SpiffeError(
        'ERR_SPIFFE_BUNDLE',
        `bundle of ${this.trustDomain}: an authority cannot be read`,
        { cause },
      )
    }
  }
}
