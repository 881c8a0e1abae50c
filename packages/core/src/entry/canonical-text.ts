import { KestError } from '../errors.js'
import { canonicalize } from './canonicalize.js'
import type { JsonValue } from './entry.js'

/**
 * Texts of nothing but tokens that RFC 8785 writes so too, no white space, of numbers only integers below 10¹⁵, and no
 * member whose name has an escape: there JSON.parse of some V8 (Node 24) takes one name for another of the same length,
 * if an object that it parsed before had that one. Such texts are compared whole.
 */
const CANONICAL_TOKENS =
  /^(?:[{}[\]:,]|"[^"\\]*(?:"|(?:\\(?:["\\bfnrt]|u00(?:0[0-7be-f]|1[0-9a-f]))[^"\\]*)+"(?!:))|true|false|null|0|-?[1-9]\d{0,14}(?!\d))*$/

/** In `for … in`, V8 knows what this answers, other than of `Object.hasOwn`. */
const { hasOwnProperty: hasOwn } = Object.prototype

/** Most lists of an entry are empty, and one is enough for all: less to freeze, and less to hold. */
const NO_ITEMS: readonly JsonValue[] = Object.freeze([])

/**
 * Parses JSON that must be its own RFC 8785 form, so that there is one spelling of it.
 *
 * @param text well-formed Unicode: it was UTF-8
 * @param nesting how deep it may nest
 * @returns the value, frozen to its last member
 * @throws {KestError} `ERR_KEST_ENTRY_MALFORMED` (not JSON), `ERR_KEST_LIMIT` (nested too deep),
 *   `ERR_KEST_ENTRY_NOT_CANONICAL`
 */
export function parseCanonical(text: string, nesting: number): JsonValue {
  let value: JsonValue
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new KestError('ERR_KEST_ENTRY_MALFORMED', 'the payload is not JSON', { cause })
  }
  const length = settle(value, nesting)
  // Canonical tokens, members in order, and just as long as the value's own text: then it is that text, and writing the
  // value again, which takes longer than parsing it, would show nothing else. The length is how a repeated member
  // shows, of which JSON.parse keeps the last. What is not so plain (fractions, names that look like numbers, and all
  // that is wrong) is written again.
  if (CANONICAL_TOKENS.test(text) && length + escapesIn(text) === text.length) return value
  if (isCanonical(value, text, nesting)) return value
  throw new KestError('ERR_KEST_ENTRY_NOT_CANONICAL', 'the payload is not the RFC 8785 form of itself')
}

function isCanonical(value: JsonValue, text: string, nesting: number): boolean {
  try {
    return canonicalize(value, { nesting }) === text
  } catch (error) {
    if (error instanceof KestError && error.code === 'ERR_KEST_NOT_JSON') return false
    throw error
  }
}

/**
 * Freezes a value, and says how long its text is without what escapes add; NaN when the members of an object are not in
 * order, or may not be in the order of the text: objects keep names that look like numbers apart.
 */
function settle(value: JsonValue, depth: number): number {
  if (typeof value === 'string') return value.length + 2
  if (typeof value !== 'object' || value === null) return String(value).length
  if (depth === 0) throw new KestError('ERR_KEST_LIMIT', 'the payload is nested too deep')
  let length = 1
  if (Array.isArray(value)) {
    for (const item of value) length += settle(item, depth - 1) + 1
  } else {
    const object = value as { [name: string]: JsonValue }
    let last = ''
    for (const name in object) {
      if (!hasOwn.call(object, name)) continue
      if (name < last || startsWithDigit(name)) length = Number.NaN
      last = name
      const member = object[name] as JsonValue
      length += name.length + 4
      if (Array.isArray(member) && member.length === 0) {
        object[name] = NO_ITEMS
        length += 2
      } else {
        length += settle(member, depth - 1)
      }
    }
  }
  Object.freeze(value)
  // Each part was counted with a comma, and the last has none.
  return length === 1 ? 2 : length
}

function startsWithDigit(name: string): boolean {
  const code = name.charCodeAt(0)
  return code >= 48 && code <= 57
}

/** How many characters more the text has than what it says; of texts with canonical tokens only. */
function escapesIn(text: string): number {
  let count = 0
  let at = text.indexOf('\\')
  while (at !== -1) {
    const size = text.charAt(at + 1) === 'u' ? 6 : 2
    count += size - 1
    at = text.indexOf('\\', at + size)
  }
  return count
}
