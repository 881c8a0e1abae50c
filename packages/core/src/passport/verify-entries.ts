import { atEntry } from '../entry/at-entry.js'
import { LABEL } from '../entry/entry.js'
import type { ParsedEntry } from '../entry/parse.js'
import { KestConfigError, PassportVerificationError } from '../errors.js'
import { isPromise } from '../maybe-promise.js'
import type { EffectiveParent } from '../trust/effective-rules.js'
import { bindKeys } from './bind-keys.js'
import { checkSignature } from './check-signatures.js'
import { isRoot } from './graph.js'
import { Findings, judgeEntry } from './judge-entries.js'
import { assertLowS, assertTime, type TimedEntry } from './link-entries.js'
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

/** How entries that need not be a passport are verified. */
export type VerifyEntriesOptions = Omit<VerifyOptions, 'mode' | 'tip' | 'semantics'>

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
  options: VerifyEntriesOptions,
): Promise<EntryVerdict[]> {
  return await new EntriesVerifier(options).verify(entries)
}

/** What is kept of an entry for those that build on it. */
interface EarlierEntry extends TimedEntry {
  /** `null` unless it holds, and so does all of its lineage. */
  readonly verified: EffectiveParent | null
}

/**
 * {@link verifyEntries} for more entries than are to be in memory at once: a few after the others. Of each it keeps what those that
 * build on it are judged by, and not the entry.
 *
 * @example
 * ```ts
 * const verifier = new EntriesVerifier({ trust })
 * for (const some of parentsFirst) report(await verifier.verify(some))
 * ```
 */
export class EntriesVerifier {
  readonly #rules: VerifyRules
  readonly #earlier = new Map<string, EarlierEntry>()

  /**
   * @param options or another verifier, for other entries that are verified as its own are
   * @throws {KestError} `ERR_KEST_CONFIG` for wrong options
   */
  constructor(options: VerifyEntriesOptions | EntriesVerifier) {
    this.#rules = options instanceof EntriesVerifier ? options.#rules : rulesOf(options)
  }

  /**
   * One call at a time.
   *
   * @param entries parents before children, and before those of later calls
   * @returns a verdict for each entry, in their order
   */
  async verify(entries: readonly ParsedEntry[]): Promise<EntryVerdict[]> {
    const links = this.#linksOf(entries)
    const checked = await Promise.all(links.map((link) => checkOf(link, this.#rules)))
    return links.map(({ linked, parents, whole }, i) => {
      const { failure, bound } = checked[i] as Checked
      const known = parents.map(({ hash }) => this.#earlier.get(hash)?.verified ?? null)
      const holds = bound !== undefined && whole && known.every((parent) => parent !== null)
      const outcome = holds
        ? judge(bound, known as EffectiveParent[], this.#rules)
        : verdict(linked, failure, null, NO_FINDINGS)
      this.#remember(linked, outcome.verified)
      return outcome
    })
  }

  #linksOf(entries: readonly ParsedEntry[]): Link[] {
    return entries.map((parsed) => {
      const { hash, entry } = parsed
      const parents = isRoot(parsed)
        ? []
        : entry.parent_ids.flatMap((parent) => {
            const earlier = this.#earlier.get(parent)
            return earlier === undefined ? [] : [{ ...earlier, hash: parent }]
          })
      const whole = isRoot(parsed) || parents.length === entry.parent_ids.length
      const index = this.#earlier.size
      const linked = {
        parsed,
        index,
        principal: entry.labels[LABEL.principal] as string,
        parents: NO_PARENTS,
      }
      this.#earlier.set(hash, { index, parsed: timeOf(parsed), verified: null })
      return { linked, parents, whole }
    })
  }

  #remember({ parsed, index }: LinkedEntry, verified: VerifiedEntry | null): void {
    if (verified === null) return
    const { trustScore, taints, identity, identityBy, claimedIdentity, plain } = verified
    this.#earlier.set(parsed.hash, {
      index,
      parsed: timeOf(parsed),
      verified: { trustScore, taints, identity, identityBy, claimedIdentity, plain },
    })
  }
}

/** What is about a passport as a whole would be ignored here, and so is refused. */
function rulesOf(options: VerifyEntriesOptions): VerifyRules {
  const rules = resolveVerifyOptions(options)
  for (const name of ['mode', 'tip', 'semantics']) {
    if (Object.hasOwn(options, name))
      throw new KestConfigError(`verifyEntries: ${name} is of a whole passport`)
  }
  return rules
}

interface Link {
  readonly linked: LinkedEntry
  /** Those that are there. */
  readonly parents: readonly (TimedEntry & { readonly hash: string })[]
  /** Whether each of its parents is there. */
  readonly whole: boolean
}

const NO_PARENTS: readonly never[] = Object.freeze([])

function timeOf({ entry: { timestamp_ms } }: ParsedEntry): TimedEntry['parsed'] {
  return { entry: { timestamp_ms } }
}

interface Checked {
  readonly failure: PassportVerificationError | null
  /** When it did not fail. */
  readonly bound?: BoundEntry
}

/** What is wrong with an entry itself, whatever it builds on. */
async function checkOf({ linked, parents }: Link, rules: VerifyRules): Promise<Checked> {
  const { parsed, index } = linked
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

function judge(bound: BoundEntry, parents: readonly EffectiveParent[], rules: VerifyRules): EntryVerdict {
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
