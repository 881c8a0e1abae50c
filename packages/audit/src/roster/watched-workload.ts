import { type StandingFinding, standingFinding } from '../across/standing-finding.js'
import { type RosterWorkload, silent } from './roster.js'

/** What is known of a workload that is watched. */
export interface WatchedState {
  /** When its last was made, milliseconds since the epoch; `null`: there was none. */
  readonly lastMs: number | null
  /** Since when it is looked for. */
  readonly sinceMs: number
  /** What was said of it, and stands. */
  readonly told: StandingFinding | null
}

/** A workload of a roster, of an audit that goes on (K-ROSTER): silent when it shows nothing for so long, and no more when it does. */
export class WatchedWorkload {
  readonly #one: RosterWorkload
  #state: WatchedState

  constructor(one: RosterWorkload, state: WatchedState) {
    this.#one = one
    this.#state = state
  }

  get state(): WatchedState {
    return this.#state
  }

  /** What clocks differ by counts as of when it was judged: nobody is there in advance, however often it is read. */
  see(timestampMs: number, judgedMs: number): void {
    const lastMs = Math.max(this.#state.lastMs ?? 0, Math.min(timestampMs, judgedMs))
    this.#state = { ...this.#state, lastMs }
  }

  /**
   * @param now milliseconds since the epoch
   * @param waitMs how much later than it is dated what somebody signs may be judged
   * @returns what is otherwise than was said; `null`: nothing
   */
  look(now: number, waitMs: number): StandingFinding | null {
    const { lastMs, sinceMs, told } = this.#state
    const { workload, withinMs } = this.#one
    const isSilent = now - Math.max(lastMs ?? 0, sinceMs) > withinMs + waitMs
    if (isSilent === (told !== null)) return null
    const said = told === null ? standingFinding(silent(this.#one, lastMs), `workload:${workload}`) : null
    this.#state = { ...this.#state, told: said }
    return said ?? { ...(told as StandingFinding), withdrawn: true }
  }
}
