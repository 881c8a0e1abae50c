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
  readonly #traces = new Map<string, Waiting>()
  readonly #most: number
  #lastMs = 0

  constructor(most: number) {
    this.#most = most
  }

  /** When the first of them was judged; `Infinity` when none waits. */
  get sinceMs(): number {
    const [first] = this.#traces.values()
    return first?.sinceMs ?? Number.POSITIVE_INFINITY
  }

  /** For so many more. */
  get room(): number {
    return this.#most - this.#traces.size
  }

  has(traceId: string): boolean {
    return this.#traces.has(traceId)
  }

  /** How long one waits that begins now: no less than those before it. */
  timesAt(now: number, maxAgeMs: number): Waiting {
    return { sinceMs: now, untilMs: Math.max(now + maxAgeMs, this.#lastMs) }
  }

  /** @param waiting `null`: it waits no more. In the order in which they were written */
  set(traceId: string, waiting: Waiting | null): void {
    this.#traces.delete(traceId)
    if (waiting === null) return
    this.#traces.set(traceId, waiting)
    this.#lastMs = Math.max(this.#lastMs, waiting.untilMs)
  }

  /** Those whose wait is over. */
  *due(now: number): Generator<readonly [traceId: string, Waiting]> {
    for (const one of this.#traces) {
      if (one[1].untilMs > now) return
      yield one
    }
  }
}
