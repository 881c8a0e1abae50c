import { atEntry } from '../entry/at-entry.js'
import type { PassportVerificationError } from '../errors.js'
import { inTime } from '../in-time.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import { type Binding, bindKeys } from './bind-keys.js'
import { SignatureChecks } from './check-signatures.js'
import { tips } from './graph.js'
import type { BoundEntry, CheckedEntry, LinkedEntry, Stage } from './stages.js'
import type { VerifyRules } from './verify-options.js'

/**
 * Characters of entries that are read before it is known whether the first of them was signed. Whoever sends what was
 * never signed has no more of it read than this, to the end of an entry; with what holds, the allowance grows.
 */
const FIRST_ALLOWANCE = 8192

/**
 * Keys and signatures. Each entry's are begun as soon as the entry is read, so that the thread pool works while the
 * next is read; the end puts what came of it into entry order. What may be read ahead of the signatures is bounded: at
 * first by {@link FIRST_ALLOWANCE}, then by twice as much each time that all of it held.
 */
export class Proofs {
  readonly #rules: VerifyRules
  readonly #signatures: SignatureChecks
  readonly #linked: LinkedEntry[] = []
  readonly #bindings: MaybePromise<Binding>[] = []
  #allowance = FIRST_ALLOWANCE
  /** Characters of entries that were read and not proven yet. */
  #ahead = 0

  constructor(rules: VerifyRules) {
    this.#rules = rules
    this.#signatures = new SignatureChecks(rules)
  }

  /** @returns whether the entry after it is worth being read */
  take(linked: LinkedEntry): MaybePromise<boolean> {
    const binding = bindKeys(linked, this.#rules)
    this.#linked.push(linked)
    this.#bindings.push(binding)
    // Which entries are tips is not known yet.
    if (this.#rules.mode === 'tip') return isPromise(binding) ? binding.then(isBound) : isBound(binding)
    if (!isPromise(binding)) {
      if ('error' in binding) return false
      if (!this.#signatures.begin(binding.bound)) return true
    }
    this.#ahead += linked.parsed.jws.length
    return this.#ahead <= this.#allowance ? !this.#signatures.haveFailed : this.#catchUp()
  }

  /** @param failure why the entry after the last that was taken is none; `null` when there is none after it */
  async end(failure: PassportVerificationError | null): Promise<Stage<CheckedEntry>> {
    const bound = await this.#bound(failure)
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
    const broken = atEntry(failed.error, index, parsed.entry.entry_id, 'ERR_KEST_SIGNATURE')
    return { entries: entries.slice(0, index), failure: broken }
  }

  async #catchUp(): Promise<boolean> {
    const { failure } = await this.end(null)
    this.#ahead = 0
    this.#allowance *= 2
    return failure === null
  }

  /** Entries up to the first that has no keys. */
  async #bound(failure: PassportVerificationError | null): Promise<Stage<BoundEntry>> {
    const bindings = this.#bindings.some(isPromise)
      ? await inTime(Promise.all(this.#bindings), {
          what: 'the keys of its lineage were found',
          signal: this.#rules.signal,
        })
      : (this.#bindings as readonly Binding[])
    const entries: BoundEntry[] = []
    for (const [index, binding] of bindings.entries()) {
      if ('error' in binding) {
        const { entry_id } = (this.#linked[index] as LinkedEntry).parsed.entry
        return { entries, failure: atEntry(binding.error, index, entry_id, 'ERR_KEST_KEYS_UNAVAILABLE') }
      }
      entries.push(binding.bound)
    }
    return { entries, failure }
  }
}

function isBound(binding: Binding): boolean {
  return 'bound' in binding
}

function tipsOf(entries: readonly BoundEntry[]): ReadonlySet<BoundEntry> {
  const parsed = new Set(tips(entries.map(({ linked }) => linked.parsed)))
  return new Set(entries.filter(({ linked }) => parsed.has(linked.parsed)))
}
