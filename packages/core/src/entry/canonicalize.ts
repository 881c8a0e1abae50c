import { assertOptions } from '../assert-options.js'
import { KestError } from '../errors.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { quote } from './quote.js'

/**
 * Writes a value as RFC 8785 JSON: members sorted by the UTF-16 code units of their names, no white space, numbers and
 * strings as ECMAScript writes them. The same value gives the same text in every conforming implementation
 * (NF-CORR-01).
 *
 * Takes own enumerable string-keyed members of plain objects, each read once; a `toJSON` method has no say.
 *
 * @param options.nesting how deep arrays and objects may nest; default 64
 * @throws {KestError} `ERR_KEST_NOT_JSON` for what JSON cannot say (`undefined`, functions, symbols, bigint, NaN,
 *   infinities, lone surrogates, holes), for objects that are not plain (Date, Map, class instances), for values
 *   nested too deep, and so for cycles.
 *
 * @example
 * ```ts
 * canonicalize({ z: 3, a: 1, m: 2 }) // '{"a":1,"m":2,"z":3}'
 * ```
 */
export function canonicalize(value: unknown, options: { readonly nesting?: number } = {}): string {
  assertOptions('canonicalize', options, ['nesting'])
  try {
    return write(value, options.nesting ?? DEFAULT_LIMITS.nesting)
  } catch (cause) {
    if (cause instanceof KestError) throw cause
    // A getter, or a proxy's trap, threw.
    throw new KestError('ERR_KEST_NOT_JSON', 'a value could not be read', { cause })
  }
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return quote(value)
    case 'number':
      if (!Number.isFinite(value)) throw notJson(`${value} is no JSON number`)
      return JSON.stringify(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (depth === 0) throw notJson('nested too deep, or in a circle')
      return Array.isArray(value) ? writeArray(value, depth) : writeObject(value, depth)
    default:
      throw notJson(`JSON has no ${typeof value}`)
  }
}

function writeArray(array: readonly unknown[], depth: number): string {
  const { length } = array
  let text = '['
  for (let i = 0; i < length; i++) text += (i === 0 ? '' : ',') + write(array[i], depth - 1)
  return `${text}]`
}

function writeObject(object: object, depth: number): string {
  assertPlain(object)
  let text = '{'
  for (const name of Object.keys(object).sort()) {
    const member = write((object as Record<string, unknown>)[name], depth - 1)
    text += `${text === '{' ? '' : ','}${quote(name)}:${member}`
  }
  return `${text}}`
}

/** Object literals, `Object.create(null)`, and object literals of another realm: their prototype has none itself. */
function assertPlain(object: object): void {
  const prototype: unknown = Object.getPrototypeOf(object)
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return
  throw notJson(`${Object.prototype.toString.call(object)} is no plain object`)
}

function notJson(why: string): KestError {
  return new KestError('ERR_KEST_NOT_JSON', `a value cannot be written as RFC 8785 JSON: ${why}`)
}
