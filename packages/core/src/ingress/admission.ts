import { LABEL } from '../entry/entry.js'
import { type KestErrorCode, PassportVerificationError } from '../errors.js'
import { isRoot } from '../passport/graph.js'
import type { VerifiedEntry } from '../passport/verified.js'
import type { VerifiedPassport } from '../passport/verified-passport.js'
import { kidOf } from '../pseudonyms/pseudonym.js'
import { IDENTITY_PARTS } from '../trust/identity-authorities.js'
import { sameIdentity } from '../trust/identity-label.js'
import { looksLikePseudonym } from '../trust/reserved.js'
import type { ResolvedListenerOptions } from './listener-options.js'
import type { PrincipalRules } from './principals.js'

/**
 * What ingress asks of a passport beyond that it verifies (SPEC §8). The order is the argument; the first failure is
 * thrown, a `PassportVerificationError` with the entry at fault where there is one.
 *
 * In mode `off` nobody is believed, so what principals may do is not asked.
 *
 * @param observesRoots whether an unlisted root is let through where it is refused: it is worth nothing in any case (K-OBSERVE)
 * @returns that refusal, if it was let through
 */
export function admit(
  verified: VerifiedPassport,
  options: ResolvedListenerOptions,
  rules: PrincipalRules,
  now: number,
  observesRoots = false,
): PassportVerificationError | null {
  assertSomeLineage(verified)
  assertFresh(verified, options, now)
  assertLineageFresh(verified, options, now)
  if (options.traces === 'single') assertOneTrace(verified)
  if (options.mode === 'off') return null
  assertDomainsListed(verified, rules)
  const unlisted = unlistedRoot(verified, rules)
  if (unlisted !== null && !observesRoots) throw unlisted
  assertNothingClaimed(verified, options)
  assertIdentityAgreed(verified)
  assertPseudonymsWellFormed(verified)
  assertIdentityAuthorities(verified, rules)
  return unlisted
}

/** K-ROOT: an empty passport is no lineage. */
function assertSomeLineage({ entries }: VerifiedPassport): void {
  if (entries.length > 0) return
  refuse('ERR_KEST_LINEAGE_MISSING', 'the passport is empty, and lineage is required here')
}

/** K-FRESH, of what was built last. */
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

/** K-FRESH, of what it all hangs on: whoever held a lineage could go on with it for ever. */
function assertLineageFresh(
  { entries }: VerifiedPassport,
  { maxLineageAgeMs }: ResolvedListenerOptions,
  now: number,
): void {
  for (const root of entries) {
    if (!isRoot(root)) continue
    const age = now - root.entry.timestamp_ms
    if (age <= maxLineageAgeMs) continue
    const why = `its lineage began ${age} ms ago; at most ${maxLineageAgeMs} are accepted`
    refuse('ERR_KEST_FRESHNESS', why, root, entries)
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

/** K-ROOTS, where it is refused and not only worth nothing. */
function unlistedRoot(
  { findings }: VerifiedPassport,
  { refusesRoots }: PrincipalRules,
): PassportVerificationError | null {
  const finding = refusesRoots ? findings.find(({ code }) => code === 'ERR_KEST_ROOT') : undefined
  return finding === undefined ? null : new PassportVerificationError(finding.code, finding.message, finding)
}

/** K-SEM, where it is enforced. Traces have their own option, and roots were judged before. */
function assertNothingClaimed({ findings }: VerifiedPassport, { semantics }: ResolvedListenerOptions): void {
  if (semantics !== 'enforce') return
  const finding = findings.find(({ code }) => code !== 'ERR_KEST_TRACE' && code !== 'ERR_KEST_ROOT')
  if (finding !== undefined) throw new PassportVerificationError(finding.code, finding.message, finding)
}

/** K-IDENT: all tips agree on who acts; "nobody" is an opinion, too. */
function assertIdentityAgreed({ tips, entries }: VerifiedPassport): void {
  const agreed = tips[0]?.identity ?? null
  for (const tip of tips) {
    if (sameIdentity(tip.identity, agreed)) continue
    refuse('ERR_KEST_IDENTITY_CONFLICT', 'the branches of the passport disagree on who acts', tip, entries)
  }
}

/** K-PSEUDONYM: what begins as one and is none is a clear name that means to be taken for one. */
function assertPseudonymsWellFormed({ tips, entries }: VerifiedPassport): void {
  for (const tip of tips)
    for (const part of IDENTITY_PARTS) {
      const name = tip.claimedIdentity?.[part] ?? ''
      if (!looksLikePseudonym(name) || kidOf(name) !== null) continue
      refuse(
        'ERR_KEST_IDENTITY_CONFLICT',
        `its ${part} begins as a pseudonym does, and is none`,
        tip,
        entries,
      )
    }
}

/** K-IDENT, where no list says whose roots may state an identity: the others are refused. */
function assertIdentityAuthorities({ entries }: VerifiedPassport, rules: PrincipalRules): void {
  if (rules.roots !== null) return
  for (const root of entries) {
    const { claimedIdentity, principal } = root
    if (claimedIdentity === null || !root.proven || !isRoot(root)) continue
    if (
      IDENTITY_PARTS.every(
        (part) => claimedIdentity[part] === null || rules.mayBeginIdentity(principal, part),
      )
    )
      continue
    refuse('ERR_KEST_IDENTITY_CONFLICT', `${principal} may not state who acts`, root, entries)
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
