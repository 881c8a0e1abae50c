/** Until when a verdict waits for what its trace names and is nowhere: a header of its record. */
export const WAITS_HEADER = 'kest-waits'
const TIMES = /^(\d{1,15})-(\d{1,15})$/

/** A trace that names what may come yet; both by the time of the log. */
export interface Waiting {
  /** When it was judged. */
  readonly sinceMs: number
  /** When it is judged once more. */
  readonly untilMs: number
}

export function waitsText({ sinceMs, untilMs }: Waiting): string {
  return `${sinceMs}-${untilMs}`
}

/** @returns `null` for what was not written so */
export function waitsIn(text: string | undefined): Waiting | null {
  const [, since, until] = TIMES.exec(text ?? '') ?? []
  return since === undefined ? null : { sinceMs: Number(since), untilMs: Number(until) }
}

/** Traces that wait, in the order in which their wait is over: so many, and no more. */
export class WaitingTraces {
  readonly #traces: Map<string, Waiting>
  readonly #most: number
  #lastMs: number
  #refused = 0

  /** @param known by their ids, in any order */
  constructor(known: Iterable<readonly [string, Waiting]>, most: number) {
    this.#traces = new Map([...known].sort(([, a], [, b]) => a.untilMs - b.untilMs))
    this.#most = most
    this.#lastMs = [...this.#traces.values()].at(-1)?.untilMs ?? 0
  }

  /** When the first of them was judged; `Infinity` when none waits. */
  get sinceMs(): number {
    const [first] = this.#traces.values()
    return first?.sinceMs ?? Number.POSITIVE_INFINITY
  }

  /** @returns `null` when there is no room for it */
  add(traceId: string, now: number, maxAgeMs: number): Waiting | null {
    this.#traces.delete(traceId)
    if (this.#traces.size >= this.#most) {
      this.#refused++
      return null
    }
    // One that others have written may wait longer than the log's time here says: then so do those behind it.
    this.#lastMs = Math.max(this.#lastMs, now + maxAgeMs)
    const waiting = { sinceMs: now, untilMs: this.#lastMs }
    this.#traces.set(traceId, waiting)
    return waiting
  }

  /** @returns of how many there was no room since it was last asked */
  takeRefused(): number {
    const refused = this.#refused
    this.#refused = 0
    return refused
  }

  delete(traceId: string): void {
    this.#traces.delete(traceId)
  }

  /** Those whose wait is over. */
  *due(now: number): Generator<readonly [traceId: string, Waiting]> {
    for (const one of this.#traces) {
      if (one[1].untilMs > now) return
      yield one
    }
  }
}
