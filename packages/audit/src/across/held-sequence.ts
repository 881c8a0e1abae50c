import { type AuditFinding, FINDING_CODES, type FindingCode, finding } from '../finding.js'
import { OpenSequence, type OpenSequenceState, type SequenceRules } from '../judge/open-sequence.js'
import type { NumberFact } from './facts.js'

/** A finding that stands: it is withdrawn when it does not any more. */
type Told = readonly [code: FindingCode, message: string]

/** What is known of it, as JSON. */
export interface HeldState extends OpenSequenceState {
  readonly principal: string
  readonly mark: number
  readonly judged: number
  readonly due_ms: number | null
  readonly last_ms: number
  readonly told: readonly Told[]
}

/** What has changed of what is said of a process. */
export interface Change {
  readonly finding: AuditFinding
  /** Whether it stands no more. */
  readonly withdrawn: boolean
}

/**
 * The numbers of one process, and what was said of them. A number that misses may be on its way: it is judged only up to what was there
 * a while ago.
 */
export class HeldSequence {
  readonly sequence: OpenSequence
  /** Whom it counts for, where processes are bounded. */
  readonly principal: string
  #told: readonly Told[]
  /** The greatest number when the wait began. */
  #mark: number
  /** Up to which number it was judged. */
  #judged: number
  /** When the wait is over; `null`: nothing is waited for. */
  dueMs: number | null
  /** When the last came. */
  lastMs: number

  constructor(state: HeldState, rules: SequenceRules) {
    this.sequence = new OpenSequence(state, rules)
    this.principal = state.principal
    this.#told = state.told
    this.#mark = state.mark
    this.#judged = state.judged
    this.dueMs = state.due_ms
    this.lastMs = state.last_ms
  }

  static begin({ what, process, principal }: NumberFact, rules: SequenceRules): HeldSequence {
    const nothing = { mark: 0, judged: 0, due_ms: null, last_ms: 0, told: [] }
    return new HeldSequence({ what, process, owners: [], principal, ...nothing }, rules)
  }

  /**
   * @param now never less than the one before; milliseconds
   * @returns that its number is also that of another, when it is; and whether what was said may stand no more
   */
  add({ number, how, ...fact }: NumberFact, now: number): { repeated: AuditFinding | null; stale: boolean } {
    this.lastMs = now
    const repeated = this.sequence.add({ ...fact, number, exported: how !== 'held' })
    const stale = this.#told.length > 0 && (number <= this.#judged || how === 'held')
    return { repeated: how === 'again' ? null : repeated, stale }
  }

  /** What it takes to hold it. */
  get weight(): number {
    return 1 + this.sequence.ranges + this.#told.length
  }

  /** Begins to wait, unless it does already. */
  wait(until: number): boolean {
    if (this.dueMs !== null) return false
    this.#mark = this.sequence.highest
    this.dueMs = until
    return true
  }

  /** What was waited for is judged now. @returns whether more has come meanwhile */
  settle(): boolean {
    this.dueMs = null
    this.#judged = Math.max(this.#judged, this.#mark)
    return this.sequence.highest > this.#judged
  }

  /** Whether how its numbers begin was said: that depends on when its principal was seen first. */
  get beganLate(): boolean {
    return this.#told.some(([code]) => code === 'sequence-start' || code === 'sequence-late')
  }

  /** Judges it as it was a while ago, and says what is otherwise than was said. */
  changes(since: (owner: string) => number): Change[] {
    if (this.#judged === 0) return []
    const found = this.sequence.findings(since, this.#judged)
    const keyOf = (code: string, message: string): string => `${code} ${message}`
    const now = new Set(found.map(({ code, message }) => keyOf(code, message)))
    const before = new Set(this.#told.map(([code, message]) => keyOf(code, message)))
    const gone = this.#told.filter(([code, message]) => !now.has(keyOf(code, message)))
    const news = found.filter(({ code, message }) => !before.has(keyOf(code, message)))
    this.#told = found.map(({ code, message }) => [code, message])
    return [
      ...gone.map(([code, message]) => ({ finding: finding(code, message), withdrawn: true })),
      ...news.map((one) => ({ finding: one, withdrawn: false })),
    ]
  }

  get state(): HeldState {
    return {
      ...this.sequence.state,
      principal: this.principal,
      mark: this.#mark,
      judged: this.#judged,
      due_ms: this.dueMs,
      last_ms: this.lastMs,
      told: this.#told,
    }
  }
}

/** A state that was written; `null` for what is none. */
export function heldStateOf(value: unknown): HeldState | null {
  const state = value as HeldState
  try {
    const isWhole =
      [state.what, state.process, state.principal].every((text) => typeof text === 'string') &&
      [state.mark, state.judged, state.last_ms, state.others ?? 0].every(Number.isSafeInteger) &&
      state.told.every(([code]) => FINDING_CODES.includes(code)) &&
      state.owners.every(
        ({ owner, principals, ranges, beyond }) =>
          typeof owner === 'string' &&
          principals.every((name) => typeof name === 'string') &&
          ranges.every((range) => range.every(Number.isSafeInteger)) &&
          Number.isSafeInteger(beyond),
      )
    return isWhole ? state : null
  } catch {
    return null
  }
}
