import { isPromise } from '../maybe-promise.js'
import { describeError } from './describe-error.js'
import type { Logger } from './logger.js'
import { oneLine } from './one-line.js'

/** Characters of one text, of all texts of a line together, members of a list or an object, and how deep these go. */
const MAX = { text: 1_024, line: 4_096, members: 24, depth: 4 } as const

/**
 * The same logger, for lines that strangers have a part in: each text stays on one line, and a line has some 4,000
 * characters at most, however much was sent. A logger that throws or rejects is told as a warning of the process, and ends nothing.
 */
export function boundedLogger(logger: Logger): Logger {
  const log =
    (level: keyof Logger): Logger[typeof level] =>
    (details, message) => {
      const failed = (error: unknown): void =>
        process.emitWarning(`the logger failed at "${message}": ${oneLine(describeError(error), MAX.text)}`, {
          type: 'KestWarning',
          code: 'KEST_LOGGER',
        })
      try {
        // One that is asynchronous fits the type as well, and what nobody catches would end the process.
        const written: unknown = logger[level](boundedDetails(details), message)
        if (isPromise(written)) written.then(undefined, failed)
      } catch (error) {
        failed(error)
      }
    }
  return Object.freeze({ debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') })
}

function boundedDetails(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  let left: number = MAX.line
  const text = (value: string): string => {
    const cut = oneLine(value, Math.min(MAX.text, Math.max(left, 0)))
    left -= cut.length
    return cut
  }
  const bounded = (value: unknown, depth: number): unknown => {
    switch (typeof value) {
      case 'number':
      case 'boolean':
      case 'undefined':
        return value
      case 'object':
        break
      default:
        return text(String(value))
    }
    if (value === null) return null
    if (depth >= MAX.depth) return '…'
    if (Array.isArray(value)) {
      const items: unknown[] = value.slice(0, MAX.members).map((item) => bounded(item, depth + 1))
      if (value.length > MAX.members) items.push(`… ${value.length - MAX.members} more`)
      return items
    }
    return members(value, depth + 1)
  }
  const members = (value: object, depth: number): Record<string, unknown> => {
    const entries = Object.entries(value).filter(([, member]) => member !== undefined)
    const kept: [string, unknown][] = entries
      .slice(0, MAX.members)
      .map(([name, member]) => [text(name), bounded(member, depth)])
    if (entries.length > MAX.members) kept.push(['…', `${entries.length - MAX.members} more`])
    return Object.fromEntries(kept)
  }
  return members(details, 0)
}
