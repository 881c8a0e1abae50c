import { UsageError } from './usage-error.js'

const RFC3339 =
  /^(\d{4}-\d\d-\d\d)[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/**
 * The value of `--at`.
 *
 * @param now milliseconds since the epoch
 * @returns milliseconds since the epoch, or `'entry'`: each entry's own time
 * @throws {UsageError} for anything but `entry`, `now` or a time as RFC 3339 writes it, with its offset from UTC
 */
export function parseAt(value: string, now: number): 'entry' | number {
  if (value === 'entry') return value
  if (value === 'now') return now
  return (
    timeIn(value) ??
    complain(`--at: expected entry, now or a time such as 2026-01-31T12:00:00Z, got "${value}"`)
  )
}

/**
 * The value of an option that is a time, as RFC 3339 writes it.
 *
 * @returns milliseconds since the epoch
 * @throws {UsageError} for anything else
 */
export function parseTime(option: string, value: string): number {
  return (
    timeIn(value) ?? complain(`--${option}: expected a time such as 2026-01-31T12:00:00Z, got "${value}"`)
  )
}

function timeIn(value: string): number | undefined {
  const date = RFC3339.exec(value)?.[1]
  return date !== undefined && isDay(date) ? Date.parse(value.toUpperCase()) : undefined
}

function complain(message: string): never {
  throw new UsageError(message)
}

/** Whether the month has that day: `Date.parse` takes February 30 for a day of March. */
function isDay(date: string): boolean {
  const time = Date.parse(`${date}T00:00:00Z`)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(date)
}
