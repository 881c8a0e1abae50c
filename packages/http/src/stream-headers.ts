import { sensitiveHeaders } from 'node:http2'
import { isWritten } from '@kest/core'

const BAGGAGE = 'baggage'

/** The headers of a stream without their `baggage`. */
export interface TakenBaggage {
  /** Its lines, as far as others wrote them. */
  readonly lines: readonly string[]
  /** Those that are marked as Kest's. */
  readonly written: readonly string[]
  /** The value of another header. */
  get(name: string): string | undefined
  /** New headers of the same form, with `value` as their one `baggage`; `undefined` for none. */
  put(value: string | undefined): unknown
}

/**
 * Takes the `baggage` out of the headers of a stream: an object, or a flat list of names and values. Changes nothing of what
 * it is given.
 *
 * @returns `null` for what is neither, for Node to say so
 */
export function takeBaggage(headers: unknown = {}): TakenBaggage | null {
  if (typeof headers !== 'object' || headers === null) return null
  const list = Array.isArray(headers)
  const all = list ? pairsOf(headers) : Object.entries(headers)
  const rest = all.filter(([name]) => !isNamed(name, BAGGAGE))
  const values = all
    .filter(([name]) => isNamed(name, BAGGAGE))
    .flatMap(([, value]) => value as unknown)
    .filter((value) => value !== undefined && value !== null)

  function put(value: string | undefined): unknown {
    if (value === undefined && rest.length === all.length) return headers
    const own = value === undefined ? rest : [...rest, [BAGGAGE, value] as const]
    // Which of them are sensitive is said under a symbol.
    return Object.assign(list ? own.flat() : Object.fromEntries(own), {
      [sensitiveHeaders]: Reflect.get(headers as object, sensitiveHeaders),
    })
  }

  return {
    lines: values.filter((value) => !isWritten(value)).map(String),
    written: values.filter(isWritten).map(String),
    get(name) {
      const value = rest.find(([spelling]) => isNamed(spelling, name))?.[1]
      return value === undefined || value === null ? undefined : String(value)
    },
    put,
  }
}

function pairsOf(list: readonly unknown[]): [unknown, unknown][] {
  return Array.from({ length: Math.ceil(list.length / 2) }, (_, n) => [list[2 * n], list[2 * n + 1]])
}

function isNamed(spelling: unknown, name: string): boolean {
  return String(spelling).toLowerCase() === name
}
