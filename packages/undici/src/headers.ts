import { KestError } from '@kest/core'

const BAGGAGE = 'baggage'

type Header = readonly [name: string, value: unknown]

/** The headers of a dispatch without their `baggage`. */
export interface TakenBaggage {
  /** Every `baggage` line there was, in its order. */
  readonly lines: readonly string[]
  /** New headers of the same form, with `value` as their one `baggage`; `undefined` for none. */
  put(value: string | undefined): unknown
}

/**
 * Takes the `baggage` out of headers in any form that undici knows: nothing, an object (values may be arrays), a flat
 * array, or an iterable of pairs. Names are compared without regard to case. Changes nothing of what it is given.
 *
 * @throws {KestError} `ERR_KEST_OUTBOUND` when the headers have none of these forms, `ERR_KEST_BAGGAGE` when a
 *   `baggage` is not text
 */
export function takeBaggage(headers: unknown): TakenBaggage {
  const isRecord = headers === null || headers === undefined || isPlain(headers)
  const all = isRecord ? Object.entries(headers ?? {}) : listed(headers)
  const rest = all.filter(([name]) => name.toLowerCase() !== BAGGAGE)
  const lines = rest.length === all.length ? [] : all.flatMap(([name, value]) => linesOf(name, value))

  function put(value: string | undefined): unknown {
    // An iterable may be gone by now.
    if (isRecord && value === undefined && rest.length === all.length) return headers
    const entries = value === undefined ? rest : [...rest, [BAGGAGE, value] as const]
    return isRecord ? Object.fromEntries(entries) : entries.flat()
  }

  return { lines, put }
}

function isPlain(headers: unknown): headers is Record<string, unknown> {
  return typeof headers === 'object' && headers !== null && !(Symbol.iterator in headers)
}

/** A flat array, or pairs: undici takes those from an iterable, and its types allow an array of them. */
function listed(headers: unknown): Header[] {
  if (typeof headers !== 'object' || headers === null) throw unknownForm()
  const items = [...(headers as Iterable<unknown>)]
  const flat = Array.isArray(headers) && !Array.isArray(items[0])
  if (!flat) return items.map(pairOf)
  if (items.length % 2 !== 0) throw unknownForm()
  return Array.from({ length: items.length / 2 }, (_, n) => pairOf(items.slice(2 * n, 2 * n + 2)))
}

function pairOf(item: unknown): Header {
  if (!Array.isArray(item) || item.length !== 2 || typeof item[0] !== 'string') throw unknownForm()
  return [item[0], item[1]]
}

function linesOf(name: string, value: unknown): string[] {
  if (name.toLowerCase() !== BAGGAGE) return []
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  return values.flatMap((line) => {
    if (line === undefined || line === null) return []
    if (typeof line === 'object' || typeof line === 'function' || typeof line === 'symbol') {
      throw new KestError('ERR_KEST_BAGGAGE', `baggage: expected text, got ${typeof line}`)
    }
    return [String(line)]
  })
}

function unknownForm(): KestError {
  return new KestError(
    'ERR_KEST_OUTBOUND',
    'headers: expected an object, a flat array of names and values, or an iterable of pairs',
  )
}
