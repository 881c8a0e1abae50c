import { atEntry } from '../entry/at-entry.js'
import { LABEL } from '../entry/entry.js'
import type { ParsedEntry } from '../entry/parse.js'
import { KestConfigError, PassportVerificationError } from '../errors.js'
import { isPromise } from '../maybe-promise.js'
import { bindKeys } from './bind-keys.js'
import { checkSignature } from './check-signatures.js'
import { parents as parentsOf } from './graph.js'
import { Findings, judgeEntry } from './judge-entries.js'
import { assertLowS, assertTime } from './link-entries.js'
import type { BoundEntry, LinkedEntry } from './stages.js'
import type { Finding, VerifiedEntry } from './verified.js'
import { resolveVerifyOptions, type VerifyOptions, type VerifyRules } from './verify-options.js'

/** What became of one entry of several that need not be a passport. */
export interface EntryVerdict {
  readonly parsed: ParsedEntry
  readonly principal: string
  /** Why it does not hold by itself; `null` when its principal has signed it. */
  readonly failure: PassportVerificationError | null
  /** With effective values, when it holds and so does all of its lineage; else `null`. */
  readonly verified: VerifiedEntry | null
  /** Claims of a verified entry that its lineage does not bear out (K-SEM). */
  readonly findings: readonly Finding[]
}

const NO_FINDINGS: readonly Finding[] = Object.freeze([])

/**
 * Verifies entries of which some may be missing or wrong: what an auditor has, where {@link verifyPassport} has a
 * passport that holds or does not. One that fails takes nothing with it but what builds on it, and that is told
 * apart: its own signature may hold.
 *
 * Of each entry: its s is low if it is ours (K-LOWS), it is not earlier than the parents that are there (K-TIME), its
 * principal's own key is found (K-BIND), the algorithm is that key's (K-ALG), the signature holds. Of those that have
 * a whole lineage: what they are worth (K-EFF).
 *
 * Does *not* look for repeated entries, for tips, or for trace ids.
 *
 * @param entries parents before children; a parent that does not come before is a missing one
 * @param options of {@link verifyPassport}; signatures are computed in the thread pool unless `threads` is `inline`.
 *   `mode`, `tip` and `semantics` are not for this, and refused.
 * @returns a verdict for each entry, in their order
 * @throws {KestError} `ERR_KEST_CONFIG` for wrong options. What is wrong with an entry is its verdict's `failure`.
 */
export async function verifyEntries(
  entries: readonly ParsedEntry[],
  options: Omit<VerifyOptions, 'mode' | 'tip' | 'semantics'>,
): Promise<EntryVerdict[]> {
  const rules = rulesOf(options)
  const links = linksOf(entries)
  const failures = await Promise.all(links.map(({ linked }) => failureOf(linked, rules)))
  const verdicts: EntryVerdict[] = []
  for (const [index, { linked, whole }] of links.entries()) {
    const failure = failures[index]?.failure ?? null
    const bound = failures[index]?.bound
    const parents = linked.parents.map((parent) => verdicts[parent.index]?.verified ?? null)
    const holds =
      failure === null && bound !== undefined && whole && parents.every((parent) => parent !== null)
    verdicts.push(
      holds ? judge(bound, parents as VerifiedEntry[], rules) : verdict(linked, failure, null, NO_FINDINGS),
    )
  }
  return verdicts
}

/** What is about a passport as a whole would be ignored here, and so is refused. */
function rulesOf(options: Parameters<typeof verifyEntries>[1]): VerifyRules {
  const rules = resolveVerifyOptions(options)
  for (const name of ['mode', 'tip', 'semantics']) {
    if (Object.hasOwn(options, name))
      throw new KestConfigError(`verifyEntries: ${name} is of a whole passport`)
  }
  return rules
}

interface Link {
  readonly linked: LinkedEntry
  /** Whether each of its parents is there. */
  readonly whole: boolean
}

function linksOf(entries: readonly ParsedEntry[]): Link[] {
  const byHash = new Map<string, LinkedEntry>()
  return entries.map((parsed, index) => {
    const all = parentsOf(parsed, byHash)
    const parents = all ?? parsed.entry.parent_ids.flatMap((hash) => byHash.get(hash) ?? [])
    const linked = { parsed, index, principal: parsed.entry.labels[LABEL.principal] as string, parents }
    byHash.set(parsed.hash, linked)
    return { linked, whole: all !== undefined }
  })
}

interface Checked {
  readonly failure: PassportVerificationError | null
  readonly bound?: BoundEntry
}

/** What is wrong with an entry itself, whatever it builds on. */
async function failureOf(linked: LinkedEntry, rules: VerifyRules): Promise<Checked> {
  const { parsed, index, parents } = linked
  const { entry_id } = parsed.entry
  try {
    assertLowS(parsed, index)
    assertTime(parsed, parents, index)
  } catch (error) {
    return { failure: atEntry(error, index, entry_id, 'ERR_KEST_ENTRY_MALFORMED') }
  }
  const asked = bindKeys(linked, rules)
  const binding = isPromise(asked) ? await asked : asked
  if ('error' in binding)
    return { failure: atEntry(binding.error, index, entry_id, 'ERR_KEST_KEYS_UNAVAILABLE') }
  const failed = await checkSignature(binding.bound, rules)
  if (failed === null) return { failure: null, bound: binding.bound }
  return { failure: atEntry(failed.error, index, entry_id, 'ERR_KEST_SIGNATURE') }
}

function judge(bound: BoundEntry, parents: readonly VerifiedEntry[], rules: VerifyRules): EntryVerdict {
  const findings = new Findings('report')
  try {
    const verified = judgeEntry({ bound, proven: true }, parents, rules.effective, findings)
    return verdict(bound.linked, null, verified, findings.list)
  } catch (error) {
    if (!(error instanceof PassportVerificationError)) throw error
    return verdict(bound.linked, error, null, NO_FINDINGS)
  }
}

function verdict(
  { parsed, principal }: LinkedEntry,
  failure: PassportVerificationError | null,
  verified: VerifiedEntry | null,
  findings: readonly Finding[],
): EntryVerdict {
  return Object.freeze({ parsed, principal, failure, verified, findings })
}
