import { LABEL } from '../entry/entry.js'
import { type KestErrorCode, PassportVerificationError } from '../errors.js'
import type { VerifiedEntry } from '../passport/verified.js'
import type { VerifiedPassport } from '../passport/verified-passport.js'
import { sameIdentity } from '../trust/identity-label.js'
import type { ResolvedListenerOptions } from './listener-options.js'
import type { PrincipalRules } from './principals.js'

/**
 * What ingress asks of a passport beyond that it verifies (SPEC §8). The order is the argument; the first failure is
 * thrown, a `PassportVerificationError` with the entry at fault where there is one.
 *
 * In mode `off` nobody is believed, so what principals may do is not asked.
 */
export function admit(
  verified: VerifiedPassport,
  options: ResolvedListenerOptions,
  rules: PrincipalRules,
  now: number,
): void {
  assertSomeLineage(verified)
  assertFresh(verified, options, now)
  if (options.traces === 'single') assertOneTrace(verified)
  if (options.mode === 'off') return
  assertDomainsListed(verified, rules)
  assertNothingClaimed(verified, options)
  assertIdentityAgreed(verified)
  assertIdentityAuthorities(verified, rules)
}

/** K-ROOT: an empty passport is no lineage. */
function assertSomeLineage({ entries }: VerifiedPassport): void {
  if (entries.length > 0) return
  refuse('ERR_KEST_LINEAGE_MISSING', 'the passport is empty, and lineage is required here')
}

/** K-FRESH. Ancestors may be older: they are as fresh as what was built on them. */
function assertFresh(
  { tips, entries }: VerifiedPassport,
  options: ResolvedListenerOptions,
  now: number,
): void {
  for (const tip of tips) {
    const age = now - tip.entry.timestamp_ms
    if (age > options.maxAgeMs) {
      refuse(
        'ERR_KEST_FRESHNESS',
        `a tip is ${age} ms old; at most ${options.maxAgeMs} are accepted`,
        tip,
        entries,
      )
    }
    if (-age > options.maxAheadMs) {
      refuse(
        'ERR_KEST_FRESHNESS',
        `a tip is ${-age} ms ahead; at most ${options.maxAheadMs} are accepted`,
        tip,
        entries,
      )
    }
  }
}

/** K-TRACE. Entries of peers without a trace have none, which is not another one. */
function assertOneTrace({ entries }: VerifiedPassport): void {
  let first: string | undefined
  for (const entry of entries) {
    const trace = entry.entry.labels[LABEL.traceId]
    if (trace === undefined) continue
    first ??= trace
    if (trace === first) continue
    refuse('ERR_KEST_TRACE', `trace ${trace} in a passport of trace ${first}`, entry, entries)
  }
}

/** K-DOMAIN, for every entry: data that passed through an unlisted domain is not accepted either. */
function assertDomainsListed({ entries }: VerifiedPassport, rules: PrincipalRules): void {
  for (const entry of entries) {
    if (rules.accepts(entry.principal)) continue
    refuse(
      'ERR_KEST_DOMAIN',
      `the trust domain of ${entry.principal} is not listed in trustDomains`,
      entry,
      entries,
    )
  }
}

/** K-SEM, where it is enforced. Traces have their own option. */
function assertNothingClaimed({ findings }: VerifiedPassport, { semantics }: ResolvedListenerOptions): void {
  if (semantics !== 'enforce') return
  const finding = findings.find(({ code }) => code !== 'ERR_KEST_TRACE')
  if (finding !== undefined) throw new PassportVerificationError(finding.code, finding.message, finding)
}

/**
 * K-IDENT: all tips agree on who acts. A statement that got lost on the way, where branches that disagreed were
 * joined, is a disagreement too: "nobody" would be a third opinion.
 */
function assertIdentityAgreed({ tips, entries }: VerifiedPassport): void {
  if (entries.every((entry) => entry.identity === null)) return
  const agreed = tips[0]?.identity ?? null
  for (const tip of tips) {
    if (tip.identity === null || !sameIdentity(tip.identity, agreed)) {
      refuse('ERR_KEST_IDENTITY_CONFLICT', 'the branches of the passport disagree on who acts', tip, entries)
    }
  }
}

/** K-IDENT: whoever states an identity may, also where another was stated after it. */
function assertIdentityAuthorities({ entries }: VerifiedPassport, rules: PrincipalRules): void {
  for (const entry of entries) {
    if (entry.identityBy === null || rules.mayStateIdentity(entry.identityBy)) continue
    refuse('ERR_KEST_IDENTITY_CONFLICT', `${entry.identityBy} may not state who acts`, entry, entries)
  }
}

function refuse(
  code: KestErrorCode,
  message: string,
  entry?: VerifiedEntry,
  entries: readonly VerifiedEntry[] = [],
): never {
  const index = entry === undefined ? null : entries.findIndex(({ hash }) => hash === entry.hash)
  throw new PassportVerificationError(code, message, { index, entryId: entry?.entry.entry_id ?? null })
}
