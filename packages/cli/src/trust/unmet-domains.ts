import { X509Certificate } from 'node:crypto'
import type { KestErrorCode, TrustDocument } from '@kest/core'
import { visible } from '../terminal/escape.js'

/** Of an entry: whose it is, and why it does not hold. */
export interface Unmet {
  readonly principal: string
  readonly failure: KestErrorCode | null
}

/** Strangers name as many as they like. */
const MOST_DOMAINS = 8
const MAX_NAME = 255
const DOMAIN = /^spiffe:\/\/([a-z0-9._-]{1,255})(?:\/|$)/
const BY_TRUST: ReadonlySet<KestErrorCode | null> = new Set([
  'ERR_KEST_KEY_UNKNOWN',
  'ERR_KEST_CERTIFICATE',
  'ERR_KEST_CERTIFICATE_UNSUPPORTED',
])

/**
 * What is missing in trust material, by trust domain: that of the wrong domain verifies nothing, and each entry by itself says no more
 * than that no key is known.
 */
export class UnmetDomains {
  readonly #trust: TrustDocument
  readonly #given: ReadonlySet<string>
  readonly #needed = new Set<string>()
  #more = false

  constructor(trust: TrustDocument) {
    this.#trust = trust
    this.#given = new Set([
      ...Object.keys(trust.bundles ?? {}),
      ...Object.keys(trust.keys ?? {}).flatMap((principal) => DOMAIN.exec(principal)?.[1] ?? []),
    ])
  }

  see(entries: Iterable<Unmet>): void {
    for (const { principal, failure } of entries) {
      if (!BY_TRUST.has(failure)) continue
      const domain = DOMAIN.exec(principal)?.[1]
      if (domain === undefined || this.#needed.has(domain)) continue
      if (this.#needed.size < MOST_DOMAINS) this.#needed.add(domain)
      else this.#more = true
    }
  }

  /** For standard error: lines that say which trust domains there are, and which are needed; nothing when that is not it. */
  hint(): string {
    const missing = [...this.#needed].filter((domain) => !this.#given.has(domain)).sort()
    const options = missing.map((domain) => `--trust ${domain}=FILE`).join(' ')
    const absent = `the trust material is of ${listOf([...this.#given])}, and entries name ${listOf(missing, this.#more)}: if you trust that, ${options}`
    const lines = [
      ...(missing.length === 0 ? [] : [absent]),
      ...[...this.#needed].sort().flatMap((domain) => this.#misnamed(domain)),
    ]
    return lines.map((line) => `kest: ${line}\n`).join('')
  }

  /** The certificates of a bundle may say of which trust domain they are, when whoever named it was mistaken. */
  #misnamed(domain: string): string[] {
    const { bundles = {} } = this.#trust
    if (!Object.hasOwn(bundles, domain)) return []
    const others = domainsIn(bundles[domain])
    if (others.length === 0 || others.includes(domain)) return []
    return [
      `the bundle that is given as ${domain} has certificates of ${listOf(others)}: was --trust ${others[0]}=FILE meant?`,
    ]
  }
}

function listOf(domains: readonly string[], more = false): string {
  if (domains.length === 0) return 'no trust domain'
  const sorted = domains.map((domain) => visible(domain.slice(0, MAX_NAME))).sort()
  const shown = sorted.slice(0, MOST_DOMAINS)
  return `${shown.join(' and ')}${more || shown.length < sorted.length ? ' and others' : ''}`
}

/** Trust domains that the authorities of a bundle name in themselves; they need not. */
function domainsIn(bundle: unknown): string[] {
  const { keys } = bundle as { readonly keys: readonly { readonly use?: unknown; readonly x5c?: [string] }[] }
  const names = keys.flatMap(({ use, x5c }) => {
    if (use !== 'x509-svid' || x5c === undefined) return []
    const { subjectAltName = '' } = new X509Certificate(Buffer.from(x5c[0], 'base64'))
    return [...subjectAltName.matchAll(/URI:(spiffe:\/\/[^,\s]+)/g)].flatMap(
      ([, uri]) => DOMAIN.exec(uri as string)?.[1] ?? [],
    )
  })
  return [...new Set(names)].sort()
}
