import type { Spread } from './statistics.js'

/** How much is measured, and by which clock. */
export interface Plan {
  /** Ratios per figure. */
  readonly rounds: number
  /** How long a round takes, both sides together. */
  readonly roundMs: number
  /** How long one side runs before the other takes its turn, unless a single repetition takes longer. */
  readonly sliceMs: number
  /** How long both sides run before anything counts. */
  readonly warmUpMs: number
  /** What passes by the clock on the wall, or what all threads of this process used of the processors. */
  readonly clock: 'wall' | 'cpu'
}

export const FULL: Plan = { rounds: 30, roundMs: 100, sliceMs: 1, warmUpMs: 1000, clock: 'wall' }
export const QUICK: Plan = { rounds: 9, roundMs: 12, sliceMs: 1, warmUpMs: 60, clock: 'wall' }

/** What was measured. Times are of one repetition. */
export interface Measurement {
  readonly ratio: Spread
  readonly subject: Spread
  readonly floor: Spread
}
