import { atEntry } from '../entry/at-entry.js'
import { inTime } from '../in-time.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import { type Binding, bindKeys } from './bind-keys.js'
import { SignatureChecks } from './check-signatures.js'
import { tips } from './graph.js'
import type { BoundEntry, CheckedEntry, LinkedEntry, Stage } from './stages.js'
import type { VerifyRules } from './verify-options.js'

/**
 * Keys and signatures. Each entry's are begun as soon as the entry is read, so that the thread pool works while the
 * next is read; the end puts what came of it into entry order.
 */
export class Proofs {
  readonly #rules: VerifyRules
  readonly #signatures: SignatureChecks
  readonly #bindings: MaybePromise<Binding>[] = []
  #failed = false

  constructor(rules: VerifyRules) {
    this.#rules = rules
    this.#signatures = new SignatureChecks(rules)
  }

  begin(linked: LinkedEntry): void {
    if (this.#failed) return
    const binding = bindKeys(linked, this.#rules)
    this.#bindings.push(binding)
    if (isPromise(binding)) return
    if ('error' in binding) this.#failed = true
    // Which entries are tips is not known yet.
    else if (this.#rules.mode !== 'tip') this.#signatures.begin(binding.bound)
  }

  /** @param linked all entries that were begun */
  async end(linked: Stage<LinkedEntry>): Promise<Stage<CheckedEntry>> {
    const bindings = this.#bindings.some(isPromise)
      ? await inTime(Promise.all(this.#bindings), {
          what: 'the keys of its lineage were found',
          signal: this.#rules.signal,
        })
      : (this.#bindings as readonly Binding[])
    const bound = boundOf(linked, bindings)
    const wanted = this.#rules.mode === 'tip' ? tipsOf(bound.entries) : null
    const entries = bound.entries.map((entry) => ({
      bound: entry,
      proven: wanted === null || wanted.has(entry),
    }))
    for (const entry of entries) if (entry.proven) this.#signatures.begin(entry.bound)
    const checking = this.#signatures.firstFailure()
    const failed = isPromise(checking) ? await checking : checking
    // Those of later entries may have been begun before it was known that this one has no key.
    if (failed === null || failed.entry.linked.index >= entries.length)
      return { entries, failure: bound.failure }
    const { index, parsed } = failed.entry.linked
    const failure = atEntry(failed.error, index, parsed.entry.entry_id, 'ERR_KEST_SIGNATURE')
    return { entries: entries.slice(0, index), failure }
  }
}

/** Entries up to the first that has no keys. */
function boundOf(linked: Stage<LinkedEntry>, bindings: readonly Binding[]): Stage<BoundEntry> {
  const entries: BoundEntry[] = []
  for (const [index, binding] of bindings.entries()) {
    if ('error' in binding) {
      const { entry_id } = (linked.entries[index] as LinkedEntry).parsed.entry
      return { entries, failure: atEntry(binding.error, index, entry_id, 'ERR_KEST_KEYS_UNAVAILABLE') }
    }
    entries.push(binding.bound)
  }
  return { entries, failure: linked.failure }
}

function tipsOf(entries: readonly BoundEntry[]): ReadonlySet<BoundEntry> {
  const parsed = new Set(tips(entries.map(({ linked }) => linked.parsed)))
  return new Set(entries.filter(({ linked }) => parsed.has(linked.parsed)))
}
