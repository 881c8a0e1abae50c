import type { KestErrorCode } from '@kest/core'

/** Callers that a row tells apart. */
const MAX_CALLERS = 16

/** Why nothing is said to be ready to be enforced. */
export type NotReady =
  /** It would have been refused within the days that count. */
  | 'refused'
  /** It was not asked every time within those days, so that nobody knows. */
  | 'not-asked'
  /** Within those days an entry had more refusals than it could list. */
  | 'left-out'
  /** What is on record does not go back so far, or not up to the end of the records. */
  | 'too-few-days'
  /** Records are known to be missing, or to be unreadable: whatever they hold may be refusals. */
  | 'records-missing'

/** How often a policy of an operation was asked, or its lineage judged, and what of it would have been refused. Times are milliseconds. */
export interface ObservedRow {
  /** Who acts, and signs for all of this. */
  readonly workload: string
  readonly operation: string
  /** `enterprise`, `platform`, `application`, `function`; or `lineage`. */
  readonly tier: string
  /** `null` of lineage. */
  readonly policy: string | null
  /** Without those that were not asked. */
  readonly asked: number
  /** How often it would have been refused, by code. */
  readonly refused: ReadonlyMap<KestErrorCode | '_OTHER', number>
  readonly notAsked: number
  /** Whose calls would have been refused, the most frequent first; `null` is nobody that is known. */
  readonly callers: readonly { readonly caller: string | null; readonly refused: number }[]
  /** Refusals of calls by others than those. */
  readonly otherCallers: number
  /** Of the first and last record; `null` where there is none that is proven. */
  readonly first: number | null
  readonly last: number | null
  /** Of the last that would have been refused, or was not asked. */
  readonly lastRefused: number | null
  readonly ready: boolean
  /** Empty where it is ready. */
  readonly why: readonly NotReady[]
}

/** The days that count: from one time to another. */
export interface Window {
  readonly from: number
  readonly until: number
  readonly missing: boolean
}

/** A row while it is counted. */
export class RowCount {
  readonly #refused = new Map<KestErrorCode | '_OTHER', number>()
  readonly #callers = new Map<string | null, number>()
  #otherCallers = 0
  #asked = 0
  #notAsked = 0
  #first: number | null = null
  #last: number | null = null
  #lastRefused: number | null = null
  #lastNotAsked: number | null = null

  /** It allowed, as a record that is proven says. */
  allowed(time: number): void {
    this.#asked++
    this.seen(time)
  }

  /** @param room whether a caller may be told apart that was not yet */
  refuse(
    code: KestErrorCode | '_OTHER',
    time: number,
    callers: readonly (string | null)[],
    room: (caller: string) => boolean,
  ): void {
    if (code === 'ERR_KEST_NOT_ASKED') {
      this.#notAsked++
      this.#lastNotAsked = Math.max(this.#lastNotAsked ?? time, time)
      return
    }
    this.#asked++
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1)
    this.#lastRefused = Math.max(this.#lastRefused ?? time, time)
    for (const caller of callers) {
      const known = this.#callers.get(caller)
      if (known !== undefined) this.#callers.set(caller, known + 1)
      else if (this.#callers.size < MAX_CALLERS && room(caller ?? '')) this.#callers.set(caller, 1)
      else this.#otherCallers++
    }
  }

  /** A record that is proven is there, whichever way it went. */
  seen(time: number): void {
    this.#first = Math.min(this.#first ?? time, time)
    this.#last = Math.max(this.#last ?? time, time)
  }

  end(
    { workload, operation, tier, policy }: Pick<ObservedRow, 'workload' | 'operation' | 'tier' | 'policy'>,
    window: Window,
    lastLeftOut: number | null,
  ): ObservedRow {
    const isWithin = (time: number | null): boolean => time !== null && time > window.from
    const why: NotReady[] = []
    if (isWithin(this.#lastRefused)) why.push('refused')
    if (isWithin(this.#lastNotAsked)) why.push('not-asked')
    if (isWithin(lastLeftOut)) why.push('left-out')
    if (this.#first === null || this.#first > window.from || !isWithin(this.#last)) why.push('too-few-days')
    if (window.missing) why.push('records-missing')
    const times = [this.#lastRefused, this.#lastNotAsked].filter((time) => time !== null)
    return Object.freeze({
      workload,
      operation,
      tier,
      policy,
      asked: this.#asked,
      refused: new Map([...this.#refused].sort()),
      notAsked: this.#notAsked,
      callers: Object.freeze(
        [...this.#callers]
          .map(([caller, refused]) => ({ caller, refused }))
          .sort((one, other) => other.refused - one.refused),
      ),
      otherCallers: this.#otherCallers,
      first: this.#first,
      last: this.#last,
      lastRefused: times.length === 0 ? null : Math.max(...times),
      ready: why.length === 0,
      why: Object.freeze(why),
    } satisfies ObservedRow)
  }
}
