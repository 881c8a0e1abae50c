import { KestError } from '../errors.js'
import { verifySignature, verifySignatureInPool } from '../jws/verify-signature.js'
import type { MaybePromise } from '../maybe-promise.js'
import { shown } from '../shown.js'
import type { BoundEntry } from './stages.js'
import type { VerifyRules } from './verify-options.js'

/**
 * From so many signatures on, the thread pool spares the other requests a wait of a millisecond. Of fewer the pool gains little on a machine
 * that is idle, and on a busy one it costs half as much CPU again, and time.
 */
const POOL_FROM = 16

/** So many are with the pool at once: its threads always find work, and no more is done in vain after a failure. */
const IN_POOL = 32

/** A signature that does not hold, or could not be checked. */
export interface FailedSignature {
  readonly entry: BoundEntry
  readonly error: unknown
}

/**
 * Checks signatures: each must hold by a key of the entry's principal. Those that the cache remembers are not computed
 * again (K-CACHE). A few wait until they are asked for. Once there are several, the first is computed here, so that
 * nobody has the pool work on what was never signed, and the others in the pool, beside what this thread goes on with.
 *
 * Once one has failed, those of later entries are not begun any more.
 */
export class SignatureChecks {
  readonly #rules: VerifyRules
  readonly #begun = new Set<BoundEntry>()
  readonly #waiting: BoundEntry[] = []
  readonly #lanes: Promise<void>[] = []
  #busy = 0
  /** Whether one was computed and held. */
  #held = false
  #failed: FailedSignature | null = null

  constructor(rules: VerifyRules) {
    this.#rules = rules
  }

  /** Whether one of those that were begun is known not to hold. */
  get haveFailed(): boolean {
    return this.#failed !== null
  }

  /**
   * Idempotent.
   * @returns whether the signature has to be computed
   */
  begin(entry: BoundEntry): boolean {
    if (this.#begun.has(entry)) return false
    this.#begun.add(entry)
    if (isRemembered(entry, this.#rules)) return false
    this.#waiting.push(entry)
    if (!this.#goesToPool()) return true
    if (!this.#held && this.#rules.threads === 'auto') this.#checkOne()
    while (this.#busy < IN_POOL && this.#waiting.length > 0) this.#lanes.push(this.#lane())
    return true
  }

  /**
   * The failure of the first entry that failed: first in the passport, not in which that was known. May be asked again
   * when more were begun.
   */
  firstFailure(): MaybePromise<FailedSignature | null> {
    const checkRest = (): FailedSignature | null => {
      while (this.#checkOne());
      return this.#failed
    }
    return this.#lanes.length === 0 ? checkRest() : Promise.all(this.#lanes).then(checkRest)
  }

  /** On this thread; `false` when none is left that matters. */
  #checkOne(): boolean {
    for (const entry of this.#worthwhile()) {
      this.#note(checkHere(entry, this.#rules))
      return true
    }
    return false
  }

  #goesToPool(): boolean {
    const { threads } = this.#rules
    if (threads !== 'auto') return threads === 'pool'
    return this.#lanes.length > 0 || this.#waiting.length >= POOL_FROM
  }

  /** Takes one after the other to the pool, as long as there are any. */
  async #lane(): Promise<void> {
    this.#busy++
    for (const entry of this.#worthwhile()) this.#note(await checkInPool(entry, this.#rules))
    this.#busy--
  }

  /** Those that wait and may still matter. Keys may become known in another order than the passport's. */
  *#worthwhile(): Generator<BoundEntry> {
    while (this.#waiting.length > 0) {
      const entry = this.#waiting.shift() as BoundEntry
      if (this.#mayBeFirst(entry)) yield entry
    }
  }

  #note(failed: FailedSignature | null): void {
    if (failed === null) this.#held = true
    else if (this.#mayBeFirst(failed.entry)) this.#failed = failed
  }

  #mayBeFirst({ linked }: BoundEntry): boolean {
    return this.#failed === null || linked.index < this.#failed.entry.linked.index
  }
}

/** The signature of one entry, by itself, in the thread pool unless the rules say `inline`. */
export async function checkSignature(entry: BoundEntry, rules: VerifyRules): Promise<FailedSignature | null> {
  if (isRemembered(entry, rules)) return null
  return rules.threads === 'inline' ? checkHere(entry, rules) : await checkInPool(entry, rules)
}

function checkHere(entry: BoundEntry, rules: VerifyRules): FailedSignature | null {
  const { header, signingInput, signature } = entry.linked.parsed
  try {
    for (const { key } of entry.keys) {
      if (verifySignature(header.alg, key, signingInput, signature)) return remember(entry, rules)
    }
    return { entry, error: notSigned(entry) }
  } catch (error) {
    return { entry, error }
  }
}

async function checkInPool(entry: BoundEntry, rules: VerifyRules): Promise<FailedSignature | null> {
  const { header, signingInput, signature } = entry.linked.parsed
  try {
    for (const { key } of entry.keys) {
      if (await verifySignatureInPool(header.alg, key, signingInput, signature)) return remember(entry, rules)
    }
    return { entry, error: notSigned(entry) }
  } catch (error) {
    return { entry, error }
  }
}

/** A source whose answers changed while it was asked is not remembered under the state it had before. */
function isRemembered({ source, generation, linked }: BoundEntry, { cache }: VerifyRules): boolean {
  return (
    cache !== null && source.generation === generation && cache.has(source, generation, linked.parsed.hash)
  )
}

function remember({ source, generation, linked }: BoundEntry, { cache }: VerifyRules): null {
  if (source.generation === generation) cache?.add(source, generation, linked.parsed.hash)
  return null
}

function notSigned({ linked }: BoundEntry): KestError {
  return new KestError('ERR_KEST_SIGNATURE', `the signature is not by a key of ${shown(linked.principal)}`)
}
