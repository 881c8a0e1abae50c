import type { Clock } from '../clock.js'
import { KestError } from '../errors.js'
import type { KestState } from './state.js'

/**
 * How long a state is good for (K-STATE): until whoever opened it ends it, and no longer than a bound. Afterwards nothing
 * begins in it and nothing is sent from it; what it says about the work can still be read. There is no timer: the end is
 * looked at when something begins or is sent.
 */
export class Lifetime {
  /** When it is over at the latest, milliseconds since the epoch: `maxStateMs`, or the `exp` of a token. */
  readonly bound: number
  readonly #clock: Clock
  #end: number

  constructor(clock: Clock, bound: number) {
    this.bound = bound
    this.#clock = clock
    this.#end = bound
  }

  get ended(): boolean {
    return this.#clock.now() >= this.#end
  }

  /** For the opener alone. The earliest end holds, so that it may be called again. */
  end(graceMs = 0): void {
    const end = graceMs === 0 ? Number.NEGATIVE_INFINITY : this.#clock.now() + graceMs
    if (end < this.#end) this.#end = end
  }

  /** Of what begins in this one, and ends by itself: its opener's end is not its own, the bound is. */
  child(): Lifetime {
    return new Lifetime(this.#clock, this.bound)
  }
}

/** @throws {KestError} `ERR_KEST_STATE_ENDED` when the state is over; `what` says what was to be done in it */
export function assertLive({ lifetime }: KestState, what: string): void {
  if (!lifetime.ended) return
  throw new KestError(
    'ERR_KEST_STATE_ENDED',
    `${what}: the request or operation that this runs in is over (K-STATE); kest.keep() is for work that goes on after it, kest.bind() for tasks that a queue runs elsewhere`,
  )
}
