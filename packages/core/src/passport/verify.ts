import { atEntry } from '../entry/at-entry.js'
import { LABEL } from '../entry/entry.js'
import { type ParseOptions, parseEntry } from '../entry/parse.js'
import { KestConfigError, KestError, PassportVerificationError } from '../errors.js'
import { isPromise } from '../maybe-promise.js'
import { bindKeys } from './bind-keys.js'
import { checkSignature } from './check-signatures.js'
import { assertKnown } from './find-keys.js'
import { tips as tipsOf } from './graph.js'
import { agreeOnIdentity, believeNothing, Findings, judgeEntries } from './judge-entries.js'
import { assertLowS, linkEntries } from './link-entries.js'
import { assertPassportSize, type Passport } from './passport.js'
import { Proofs } from './prove-entries.js'
import { SignatureCache } from './signature-cache.js'
import type { LinkedEntry } from './stages.js'
import { areStatedTips } from './stated-tips.js'
import type { VerifiedEntry } from './verified.js'
import { sealPassport, type VerifiedPassport } from './verified-passport.js'
import { resolveVerifyOptions, type VerifyOptions, type VerifyRules } from './verify-options.js'

/**
 * Verifies a passport (F-PA-04…07, SPEC §9): proves which workloads made its entries, in which order, and that nothing
 * was altered since. For each entry, in order:
 *
 * 1. it has its one form, header and schema (K-STRICT, K-LIMIT);
 * 2. neither it nor its `entry_id` occurs before (K-ONCE), nor is it a twin of another (K-LOWS);
 * 3. each parent is an *earlier* entry, and at most 60 s younger (K-TIME);
 * 4. its principal's own key is found (K-BIND), and the algorithm is that key's (K-ALG);
 * 5. the signature holds;
 * 6. its claims are recomputed (K-EFF, K-ROOTS, K-SWITCH, K-TRACE), and where they differ that is a finding or an error (K-SEM).
 *
 * Then, of the whole: its tips are the expected ones (K-TIP), and they agree on who acts (K-IDENT). The first failure
 * in entry order is the one thrown; in mode `tip` that of the last entry comes before those of the others. What cannot
 * be checked has failed.
 *
 * What does not hold costs little more than finding that out: an entry is parsed when those before it hold as far as is
 * known, and 8 KiB, to the end of an entry, ahead of the first signature (K-LIMIT).
 *
 * Does *not* show that the passport is recent or meant for the receiver, nor what a workload chose not to record
 * (K-DECLARED). Without `tip`, entries cut off the end are not missed.
 *
 * @throws {PassportVerificationError} with `index` and `entryId`: `ERR_KEST_ENTRY_MALFORMED`, `ERR_KEST_ENTRY_HEADER`,
 *   `ERR_KEST_ENTRY_NOT_CANONICAL`, `ERR_KEST_ENTRY_SCHEMA`, `ERR_KEST_LIMIT`, `ERR_KEST_DUPLICATE`,
 *   `ERR_KEST_PARENT_UNKNOWN`, `ERR_KEST_TIME`, `ERR_KEST_KEY_UNKNOWN`, `ERR_KEST_KEYS_UNAVAILABLE`,
 *   `ERR_KEST_CERTIFICATE_UNSUPPORTED`, `ERR_KEST_CERTIFICATE`, `ERR_KEST_ALG`, `ERR_KEST_SIGNATURE`, `ERR_KEST_TIP`;
 *   where semantics are enforced `ERR_KEST_TRUST_RAISED`, `ERR_KEST_TAINT_DROPPED`, `ERR_KEST_TRACE`,
 *   `ERR_KEST_IDENTITY_CONFLICT`, `ERR_KEST_ROOT`
 * @throws {KestError} `ERR_KEST_CONFIG` for wrong options, `ERR_KEST_ABORTED` when `signal` aborts
 *
 * @example
 * ```ts
 * const trust = createKeySource({ 'spiffe://example.org/hop1': [jwk] })
 * const { principals, trustScore, taints } = await verifyPassport(parsePassport(text), { trust })
 * ```
 */
export async function verifyPassport(passport: Passport, options: VerifyOptions): Promise<VerifiedPassport> {
  const rules = resolveVerifyOptions(options)
  if (rules.mode === 'tip' && rules.effective.roots !== null)
    throw new KestConfigError('verify: roots mean nothing in mode "tip", where they are not proven (K-ROOTS)')
  return verifyByRules(passport, rules)
}

/** {@link verifyPassport}, its options checked. */
export async function verifyByRules(passport: Passport, rules: VerifyRules): Promise<VerifiedPassport> {
  throwIfAborted(rules)
  assertPassportSize(passport, rules.limits)
  const findings = new Findings(rules.semantics)
  const entries = rules.mode === 'off' ? read(passport, rules) : await prove(passport, rules, findings)
  const tips = tipsOf(entries)
  assertTips(tips, rules)
  const agreed = agreeOnIdentity(tips, findings)
  const time = rules.at === null ? 'self-asserted' : 'fixed'
  return sealPassport({ entries, tips, agreed, findings: findings.list, mode: rules.mode, time })
}

/**
 * Mode `tip`: the last entry is a tip whatever the others say, so none of them is read before it is known that this one
 * holds. Its signature is remembered, and not computed again.
 */
async function proveLast({ entries }: Passport, rules: VerifyRules): Promise<VerifyRules> {
  const index = entries.length - 1
  const remembering = rules.cache === null ? { ...rules, cache: new SignatureCache({ max: 1 }) } : rules
  if (index < 0) return rules
  const parsed = parseEntry(entries[index], { limits: rules.limits, index, admit: admitKnown(rules) })
  assertLowS(parsed, index)
  const principal = parsed.entry.labels[LABEL.principal] as string
  const binding = await bindKeys({ parsed, index, principal, parents: [] }, rules)
  const { entry_id } = parsed.entry
  if ('error' in binding) throw atEntry(binding.error, index, entry_id, 'ERR_KEST_KEYS_UNAVAILABLE')
  const failed = await checkSignature(binding.bound, remembering)
  if (failed !== null) throw atEntry(failed.error, index, entry_id, 'ERR_KEST_SIGNATURE')
  return remembering
}

function admitKnown({ sources }: VerifyRules): NonNullable<ParseOptions['admit']> {
  return (principal, header) => assertKnown({ principal, header }, sources)
}

/** An entry is read when those before it, as far as is known, hold: the first that does not is the last that costs. */
async function prove(passport: Passport, given: VerifyRules, findings: Findings): Promise<VerifiedEntry[]> {
  const rules = given.mode === 'tip' ? await proveLast(passport, given) : given
  const proofs = new Proofs(rules)
  const links = linkEntries(passport, rules.limits, admitKnown(rules))
  let next = links.next()
  while (next.done !== true) {
    const going = proofs.take(next.value)
    if (!(isPromise(going) ? await going : going)) break
    next = links.next()
  }
  const checked = await proofs.end(next.done === true ? next.value : null)
  throwIfAborted(rules)
  const entries = judgeEntries(checked.entries, rules.effective, findings)
  if (checked.failure !== null) throw checked.failure
  return entries
}

function read(passport: Passport, { limits }: VerifyRules): VerifiedEntry[] {
  const links = linkEntries(passport, limits)
  const entries: LinkedEntry[] = []
  let next = links.next()
  for (; next.done !== true; next = links.next()) entries.push(next.value)
  if (next.value !== null) throw next.value
  return believeNothing(entries)
}

/** K-TIP. */
function assertTips(tips: readonly VerifiedEntry[], { tip: expected }: VerifyRules): void {
  if (expected === null) return
  const hashes = tips.map(({ hash }) => hash)
  if (!areStatedTips(hashes, expected))
    throw new PassportVerificationError('ERR_KEST_TIP', 'passport: its tips are not those that were expected')
}

function throwIfAborted({ signal }: VerifyRules): void {
  if (signal?.aborted) {
    throw new KestError('ERR_KEST_ABORTED', 'the verification was aborted', { cause: signal.reason })
  }
}
