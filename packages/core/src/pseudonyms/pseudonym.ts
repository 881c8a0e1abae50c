import { createHmac, timingSafeEqual } from 'node:crypto'
import { canonicalize } from '../entry/canonicalize.js'
import { looksLikePseudonym, PSEUDONYM_PREFIX as PREFIX } from '../trust/reserved.js'
import type { PseudonymKey, PseudonymSubject } from './pseudonym-keys.js'

/** Of a key: what baggage carries as it is, and short enough for a label. */
const KID = /^[A-Za-z0-9_-]{1,64}$/

/** 32 bytes in base64url, in their one spelling: of the last character two bits are unused. */
const MAC = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

/** The `kid` of a pseudonym; `null` for what is none, or is spelled otherwise than one. */
export function kidOf(text: string): string | null {
  if (!looksLikePseudonym(text) || text.length > PREFIX.length + 64 + 1 + 43) return null
  const [kid = '', mac = '', ...more] = text.slice(PREFIX.length).split('.')
  return more.length === 0 && KID.test(kid) && MAC.test(mac) ? kid : null
}

export function isKid(value: unknown): value is string {
  return typeof value === 'string' && KID.test(value)
}

/**
 * What stands for somebody in all that is signed, exported and sent (K-PSEUDONYM):
 * `kest-p1.<kid>.<base64url HMAC-SHA-256(key, JCS [part, issuer, tenant, name])>`. For whoever has the key: it finds the entries
 * of a person, and says nothing to anybody else.
 *
 * @throws {KestError} `ERR_KEST_NOT_JSON` for a name, an issuer or a tenant with a lone surrogate
 *
 * @example
 * ```ts
 * pseudonymOf({ kid: 'k1', key }, { part: 'user', issuer: 'https://id.example.org', tenant: null, name: 'alice' })
 * ```
 */
export function pseudonymOf({ kid, key }: PseudonymKey, subject: PseudonymSubject): string {
  const { part, issuer, tenant, name } = subject
  const mac = createHmac('sha256', key).update(canonicalize([part, issuer, tenant, name]), 'utf8')
  return `${PREFIX}${kid}.${mac.digest('base64url')}`
}

/** Whether two names are the same; of pseudonyms without telling, by the time it takes, how much of them is. */
export function sameName(a: string, b: string): boolean {
  if (!looksLikePseudonym(a) || !looksLikePseudonym(b)) return a === b
  const [one, other] = [Buffer.from(a), Buffer.from(b)]
  return one.length === other.length && timingSafeEqual(one, other)
}
