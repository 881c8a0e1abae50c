import { isUtf8 } from 'node:buffer'
import { types } from 'node:util'
import { KestConfigError, KestError } from '../errors.js'
import { BAGGAGE_HEADER } from './baggage-names.js'

/** Headers by their names. */
export type HeaderRecord = Record<string, string | string[] | undefined>

/** A header's value as clients and brokers have it. Bytes are read as UTF-8. */
export type HeaderValue = string | Uint8Array | readonly (string | Uint8Array)[] | undefined

/** `Headers` of WHATWG, of whatever realm or package, and what has their methods: node-fetch's, `AxiosHeaders`. */
export interface HeadersLike {
  get(name: string): unknown
  set(name: string, value: string): unknown
  delete(name: string): unknown
}

/** Headers in a form that can be read. */
export type CarrierHeaders =
  | HeadersLike
  | Iterable<readonly [name: string, value: HeaderValue]>
  | Readonly<Record<string, HeaderValue>>
  | readonly string[]

/** Headers in a form that a passport can be put on. */
export type InjectableHeaders =
  | HeadersLike
  | Map<string, HeaderValue>
  | Record<string, HeaderValue>
  | (readonly [name: string, value: HeaderValue])[]
  | string[]

type Pair = readonly [name: unknown, value: unknown]

/** Known by what they do: classes of headers are many. A `Map` has the methods as well, and tells cases apart. */
export function isHeadersLike(headers: unknown): headers is HeadersLike {
  if (typeof headers !== 'object' || headers === null || types.isMap(headers)) return false
  return ['get', 'set', 'delete'].every((name) => typeof Reflect.get(headers, name) === 'function')
}

/**
 * Names and values, of whatever form the headers have: an object of names, pairs, a flat list, or what lists its pairs.
 *
 * @param names what to ask for, where nothing is listed
 * @throws {KestConfigError} for anything else: it would be read as having none
 */
export function pairsOf(where: string, headers: unknown, names: readonly string[]): readonly Pair[] {
  try {
    return listed(where, headers, names)
  } catch (cause) {
    if (cause instanceof KestError) throw cause
    throw new KestConfigError(`${where}: headers: their own code failed`, { cause })
  }
}

function listed(where: string, headers: unknown, names: readonly string[]): readonly Pair[] {
  if (typeof headers !== 'object' || headers === null) throw unknownForm(where)
  if (!(Symbol.iterator in headers)) {
    if (isHeadersLike(headers)) return names.map((name) => [name, headers.get(name)] as const)
    if (!isPlain(headers)) throw unknownForm(where)
    return Object.entries(headers)
  }
  const items = [...(headers as Iterable<unknown>)]
  if (items.every((item): item is [unknown, unknown] => Array.isArray(item) && item.length === 2))
    return items
  if (!Array.isArray(headers) || items.length % 2 !== 0 || items.some(Array.isArray)) throw unknownForm(where)
  return Array.from({ length: items.length / 2 }, (_, n) => [items[2 * n], items[2 * n + 1]] as const)
}

/**
 * What a listener looks at, as `node:http` gives it: names in lower case, text, what was there twice as a list.
 *
 * @param names in lower case
 * @throws {KestConfigError} for headers of another form; {@link KestError} `ERR_KEST_BAGGAGE`, `ERR_KEST_TOKEN` for a value
 *   that is no text
 */
export function inboundHeaders(where: string, headers: unknown, names: readonly string[]): HeaderRecord {
  const pairs = pairsOf(where, headers, names)
  const record: HeaderRecord = {}
  for (const name of names) {
    const values = valuesOf(pairs, name)
    if (values.length > 0) record[name] = values
  }
  return record
}

/**
 * The values under one name, in any case.
 * @throws {KestError} `ERR_KEST_BAGGAGE`, `ERR_KEST_TOKEN` for a value that is no text
 */
export function valuesOf(pairs: readonly Pair[], name: string): string[] {
  return pairs.filter((pair) => isNamed(pair, name)).flatMap(([, value]) => textsOf(name, value))
}

export function isNamed([spelling]: Pair, name: string): boolean {
  return (
    (types.isUint8Array(spelling) ? Buffer.from(spelling).toString() : String(spelling)).toLowerCase() ===
    name
  )
}

function textsOf(name: string, value: unknown): string[] {
  return Array.isArray(value) ? value.flatMap((item) => textOf(name, item)) : textOf(name, value)
}

/**
 * What a value says: text, bytes of UTF-8, or a number. `null` and `false` are none, as axios has it.
 * @throws {KestError} for anything else, a list within a list too: `ERR_KEST_BAGGAGE`, `ERR_KEST_TOKEN`
 */
function textOf(name: string, value: unknown): string[] {
  if (value === undefined || value === null || value === false) return []
  if (typeof value === 'string') return [value]
  if (typeof value === 'number') return [String(value)]
  if (types.isUint8Array(value) && isUtf8(value)) return [Buffer.from(value).toString()]
  const got = types.isUint8Array(value) ? 'bytes that are no UTF-8' : typeof value
  const code = name === BAGGAGE_HEADER ? 'ERR_KEST_BAGGAGE' : 'ERR_KEST_TOKEN'
  throw new KestError(code, `${name}: expected text, got ${got}`)
}

/** Of whatever realm. What an object inherits from others would be seen by some readers, and not by all. */
function isPlain(headers: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(headers)
  return prototype === null || Object.hasOwn(prototype as object, 'hasOwnProperty')
}

function unknownForm(where: string): KestConfigError {
  return new KestConfigError(
    `${where}: headers: expected Headers, a Map, a plain object of names and values, or a list of them`,
  )
}
