/** How long to wait before attempt `n`, counted from 1; milliseconds. */
export type Backoff = (n: number) => number

const FIRST_MS = 250
const LONGEST_MS = 15_000

/** Doubles from a quarter of a second to 15 seconds, give or take a fifth, so that many services do not come at once. */
export const exponentialBackoff: Backoff = (n) =>
  Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(n - 1, 16)) * (0.8 + 0.4 * Math.random())
