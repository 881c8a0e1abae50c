/** Longer than that nobody is left alone: a mistake there must not end the trail, milliseconds. */
const LONGEST_MS = 600_000

/**
 * How long a `Retry-After` (RFC 9110 §10.2.3) asks to wait, in seconds or until a date; at most ten minutes.
 *
 * @returns milliseconds; `null` where there is none that can be read
 */
export function retryAfterMs(header: string | undefined, nowMs: number): number | null {
  if (header === undefined) return null
  const text = header.trim()
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  return Number.isNaN(ms) ? null : Math.min(Math.max(0, ms), LONGEST_MS)
}
