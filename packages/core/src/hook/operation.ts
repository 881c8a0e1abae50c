import { trace } from '@opentelemetry/api'
import { type KestState, runWithState } from '../context/state.js'
import { Passport } from '../passport/passport.js'
import type { VerifiedEntry } from '../passport/verified.js'
import type { Outcome } from './outcome-entry.js'

const SHA256 = /^[0-9a-f]{64}$/

/** Records how an operation has ended, and the hash of what it brought about, or `''`. Never throws. */
export type RecordOutcome = (outcome: Outcome, contentHash: string) => void

/**
 * An operation that was authorized and recorded: its entry is signed, its audit span ended. What remains is to run
 * it, once.
 */
export class Operation {
  /** The record that was signed. */
  readonly entry: VerifiedEntry
  /** The state to run in: what is called from it links to the entry. */
  readonly state: KestState
  readonly #onEnd: RecordOutcome | undefined
  #started = false
  #settled = false
  #contentHash = ''

  /** @param onEnd told once, when it is over (K-OUTCOME) */
  constructor(entry: VerifiedEntry, state: KestState, onEnd?: RecordOutcome) {
    this.entry = entry
    this.state = state
    this.#onEnd = onEnd
  }

  /**
   * States what it has brought about, for the entry that says how it ended (K-OUTCOME). The last word before that counts.
   *
   * @param contentHash lowercase hex SHA-256
   * @throws {TypeError} for anything else
   */
  produced(contentHash: string): void {
    if (typeof contentHash !== 'string' || !SHA256.test(contentHash))
      throw new TypeError('operation.produced: expected a SHA-256 in lowercase hex')
    this.#contentHash = contentHash
  }

  /** The passport at this moment, this entry and what has joined it since included. */
  get passport(): Passport {
    return new Passport(this.state.frame.lineage.strings())
  }

  /**
   * Runs `fn` in the operation's state and answers what it answers. When it settles, what happened in it joins the
   * caller's frame (K-FLOW), whether it succeeded or threw: its entry stays either way (K-SPAN). Its state ends then:
   * work that goes on takes a state of its own before (`kest.keep()`).
   *
   * @throws {TypeError} when the operation has been run before; whatever `fn` throws.
   */
  async run<T>(fn: () => T): Promise<Awaited<T>> {
    this.enter()
    let outcome: Outcome = 'failed'
    try {
      // Within the state also what it answers is waited for: a query may begin when somebody calls its then().
      const answer = await runWithState(this.state, async () => fn())
      outcome = 'succeeded'
      return answer
    } catch (error) {
      if (this.state.signal?.aborted === true) outcome = 'aborted'
      trace.getActiveSpan()?.addEvent('kest.operation.threw', { 'kest.entry_id': this.entry.entry.entry_id })
      throw error
    } finally {
      this.settle(0, outcome)
    }
  }

  /**
   * For frameworks that continue by a callback: marks the operation as run and answers the state to continue in
   * (`kest.run(operation.enter(), done)`). Call {@link settle} when the framework says that it is over.
   */
  enter(): KestState {
    if (this.#started) throw new TypeError('an operation runs once: begin another')
    this.#started = true
    return this.state
  }

  /**
   * The operation is over: what happened joins the caller's frame, and its state ends (K-STATE). Idempotent; `run` does
   * it by itself.
   *
   * @param graceMs how much longer its state is good for, where nobody knows whether its work is done; default 0
   * @param outcome how it has ended, which an entry of its own says where outcomes are recorded (K-OUTCOME); default `succeeded`,
   *   and `aborted` for one that was never entered
   */
  settle(graceMs = 0, outcome: Outcome = this.#started ? 'succeeded' : 'aborted'): void {
    if (!this.#settled) {
      this.#settled = true
      this.#onEnd?.(outcome, this.#contentHash)
    }
    this.state.frame.settle()
    this.state.lifetime.end(graceMs)
  }
}
