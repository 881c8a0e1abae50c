import { UNPRINTABLE } from './one-line.js'

type Details = Readonly<Record<string, unknown>>

/** Where Kest speaks to the operator. Compatible with pino, `console` and most others. */
export interface Logger {
  debug(details: Details, message: string): void
  info(details: Details, message: string): void
  warn(details: Details, message: string): void
  error(details: Details, message: string): void
}

/**
 * To stderr, one line of JSON each: `time` (RFC 3339, UTC), `level`, `name` (`kest`), `message`, and the details. What is for
 * debugging is dropped. The default.
 */
export const stderrLogger: Logger = Object.freeze<Logger>({
  debug: () => {},
  info: (details, message) => write('info', details, message),
  warn: (details, message) => write('warn', details, message),
  error: (details, message) => write('error', details, message),
})

function write(level: string, details: Details, message: string): void {
  const time = new Date().toISOString()
  const line = JSON.stringify({ time, level, name: 'kest', message, ...details })
  process.stderr.write(`${line.replace(UNPRINTABLE, escapedInJson)}\n`, outlive)
}

/** JSON leaves as they are what an 8-bit terminal takes for an escape, and what turns the direction of writing. */
function escapedInJson(char: string): string {
  const units = Array.from({ length: char.length }, (_, n) =>
    char.charCodeAt(n).toString(16).padStart(4, '0'),
  )
  return units.map((unit) => `\\u${unit}`).join('')
}

/** Whoever read stderr may have ended; that the stream says so, right after this, must not end the service as well. */
function outlive(error: Error | null | undefined): void {
  if (error && process.stderr.listenerCount('error') === 0) process.stderr.once('error', () => {})
}
