import { canonicalize } from '../entry/canonicalize.js'
import { signingLate } from '../identity/current-signer.js'
import type { Signer } from '../identity/provider.js'
import { inTime } from '../in-time.js'
import { signCompact } from '../jws/sign-compact.js'
import type { Limits } from '../limits.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { DenialFacts } from './denial-facts.js'
import { Sequence } from './sequence.js'

/** Denials that are signed within any second: strangers can cause as many as they like. */
export const MAX_SIGNED_PER_SECOND = 200
const SECOND_MS = 1_000

/** How a denial is signed. */
export interface SignDenialOptions {
  /** `entryBytes` bounds it, too. */
  readonly limits: Limits
  /** How long the signer may take. */
  readonly timeoutMs: number
  /** Told why it could not be signed. */
  failed(error: unknown): void
}

/**
 * Signs and numbers the denials of an instance (K-DENIAL): in a sequence of their own for each principal, so that one that was lost
 * is missed, and no number of an entry is touched. What is not signed, the next one counts.
 */
export class Denials {
  readonly #now: () => number
  readonly #numbers = new Sequence()
  readonly #unsigned = new Map<string, number>()
  /** When the last were signed, the oldest at `#oldest`. */
  readonly #signed = new Float64Array(MAX_SIGNED_PER_SECOND).fill(Number.NEGATIVE_INFINITY)
  #oldest = 0

  /** @param now milliseconds of a clock that is never set back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /**
   * Synchronous when the signer is.
   *
   * @param signer a local one
   * @returns the compact string; `undefined` where it was only counted
   */
  sign(facts: DenialFacts, signer: Signer, options: SignDenialOptions): MaybePromise<string | undefined> {
    const { workloadId: principal } = signer
    if (!this.#hasRoom()) {
      this.#count(principal, 1)
      return undefined
    }
    const number = this.#numbers.take(principal)
    const before = this.#unsigned.get(principal) ?? 0
    this.#unsigned.delete(principal)
    const failed = (error: unknown): undefined => {
      number.giveBack()
      this.#count(principal, before + 1)
      options.failed(error)
      return undefined
    }
    try {
      const denial = { ...facts, principal, n: number.label, ...(before > 0 && { unsigned: before }) }
      const { limits, timeoutMs } = options
      const signing = signCompact(
        'the denial',
        'kest-denial',
        canonicalize(denial),
        signer,
        limits.entryBytes,
      )
      if (!isPromise(signing)) return signing
      return inTime(signing, { ms: timeoutMs, late: signingLate }).catch(failed)
    } catch (error) {
      return failed(error)
    }
  }

  /** Whether fewer than the most were signed within the second that ends now; then it is one of them. */
  #hasRoom(): boolean {
    const now = this.#now()
    if (now - (this.#signed[this.#oldest] as number) < SECOND_MS) return false
    this.#signed[this.#oldest] = now
    this.#oldest = (this.#oldest + 1) % MAX_SIGNED_PER_SECOND
    return true
  }

  #count(principal: string, more: number): void {
    this.#unsigned.set(principal, (this.#unsigned.get(principal) ?? 0) + more)
  }
}
