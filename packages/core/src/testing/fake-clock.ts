import type { Clock } from '../clock.js'

/** A clock that stands still until it is moved. */
export class FakeClock implements Clock {
  #now: number

  /** @param now milliseconds since the epoch; default the present */
  constructor(now: number = Date.now()) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  /** Moves by `milliseconds`, also backwards. */
  advance(milliseconds: number): void {
    this.#now += milliseconds
  }
}
