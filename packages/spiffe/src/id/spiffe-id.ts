import { SpiffeError } from '../errors.js'
import { checkPath, checkTrustDomainName, MAX_ID_BYTES, quoted, SCHEME } from './syntax.js'

/**
 * A SPIFFE ID: `spiffe://<trust domain>[/<path>]` (SPIFFE-ID §2).
 *
 * There is one spelling of an ID, so that two of them are the same if their text is. Made by {@link SpiffeId.parse}
 * alone.
 *
 * @example
 * ```ts
 * const id = SpiffeId.parse('spiffe://example.org/billing/api')
 * id.trustDomain.name   // 'example.org'
 * id.path               // '/billing/api'
 * ```
 */
export class SpiffeId {
  readonly trustDomain: TrustDomain
  /** With its leading `/`; empty when the ID names the trust domain itself. */
  readonly path: string
  readonly #text: string

  private constructor(trustDomain: TrustDomain, path: string, text: string) {
    this.trustDomain = trustDomain
    this.path = path
    this.#text = text
    Object.freeze(this)
  }

  /**
   * Reads an ID by every rule of the standard: the scheme in lower case; a trust domain of `a-z 0-9 . - _`, at most 255
   * bytes, with neither user information nor port; a path of segments of `a-z A-Z 0-9 . - _`, none of them empty, `.` or
   * `..`, no slash at the end; no percent-encoding, query or fragment; at most 2048 bytes.
   *
   * @throws {SpiffeError} `ERR_SPIFFE_ID`, saying which rule
   */
  static parse(text: string): SpiffeId {
    if (typeof text !== 'string')
      throw new SpiffeError('ERR_SPIFFE_ID', `SPIFFE ID: expected text, got ${typeof text}`)
    if (!text.startsWith(SCHEME)) {
      throw new SpiffeError('ERR_SPIFFE_ID', `SPIFFE ID ${quoted(text)}: expected it to begin with ${SCHEME}`)
    }
    // Of the characters that are allowed, each is one byte.
    if (text.length > MAX_ID_BYTES) {
      throw new SpiffeError(
        'ERR_SPIFFE_ID',
        `SPIFFE ID: ${text.length} characters, allowed are ${MAX_ID_BYTES}`,
      )
    }
    const slash = text.indexOf('/', SCHEME.length)
    const name = text.slice(SCHEME.length, slash === -1 ? undefined : slash)
    const path = slash === -1 ? '' : text.slice(slash)
    checkTrustDomainName(name, 'ERR_SPIFFE_ID')
    checkPath(path, text)
    return new SpiffeId(TrustDomain.parse(name), path, text)
  }

  memberOf(trustDomain: TrustDomain): boolean {
    return this.trustDomain.equals(trustDomain)
  }

  equals(other: SpiffeId): boolean {
    return this.#text === other.#text
  }

  toString(): string {
    return this.#text
  }

  toJSON(): string {
    return this.#text
  }
}

/**
 * A trust domain: all that one authority vouches for (SPIFFE-ID §2.1).
 *
 * Made by {@link TrustDomain.parse} alone, so that a value of this type is a name that follows the standard.
 */
export class TrustDomain {
  /** `example.org` */
  readonly name: string

  private constructor(name: string) {
    this.name = name
    Object.freeze(this)
  }

  /**
   * Reads a name (`example.org`), or takes that of a SPIFFE ID (`spiffe://example.org/any`).
   * Upper case is refused, not lowered: one domain has one spelling.
   *
   * @throws {SpiffeError} `ERR_SPIFFE_TRUST_DOMAIN`; for what looks like an ID and is none, `ERR_SPIFFE_ID`
   */
  static parse(nameOrId: string): TrustDomain {
    if (typeof nameOrId !== 'string') {
      throw new SpiffeError('ERR_SPIFFE_TRUST_DOMAIN', `trust domain: expected text, got ${typeof nameOrId}`)
    }
    if (nameOrId.includes(':/')) return SpiffeId.parse(nameOrId).trustDomain
    checkTrustDomainName(nameOrId, 'ERR_SPIFFE_TRUST_DOMAIN')
    return new TrustDomain(nameOrId)
  }

  /** `spiffe://example.org`, which names the domain itself and no workload. */
  id(): SpiffeId {
    return SpiffeId.parse(SCHEME + this.name)
  }

  /** Whether a text is its name, or its own ID, and not that of a workload in it. */
  isNamed(nameOrId: string): boolean {
    return nameOrId === this.name || nameOrId === SCHEME + this.name
  }

  equals(other: TrustDomain): boolean {
    return this.name === other.name
  }

  /** The name. */
  toString(): string {
    return this.name
  }

  toJSON(): string {
    return this.name
  }
}
