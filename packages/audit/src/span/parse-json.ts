import { isUtf8 } from 'node:buffer'
import { PartCount } from './parts.js'
import { NotJson, Unreadable } from './unreadable.js'

const QUOTE = 0x22
const COLON = 0x3a
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
/** Of a text that are looked at one by one. */
const NEAR_BYTES = 32

/** In `for … in`, V8 knows what this answers, other than of `Object.hasOwn`. */
const { hasOwnProperty: hasOwn } = Object.prototype

/** What the brackets, colons and quotes of a text are, if it is JSON. */
interface Shape {
  /** Members of objects, at every depth. */
  readonly members: number
  /** Whether it ends within a text, an object or a list, as what was cut off does. */
  readonly unfinished: boolean
}

/**
 * Parses JSON that a stranger wrote, as an auditor has to: of a member that is there twice, `JSON.parse` would keep one and say
 * nothing of the other.
 *
 * @throws {NotJson} for what is no JSON, or not UTF-8
 * @throws {Unreadable} when an object has a member twice
 * @throws {TooManyParts} before it takes more memory than an export may
 */
export function parseJson(bytes: Buffer): unknown {
  const { members, unfinished } = shapeOf(bytes)
  if (unfinished) throw new NotJson('it is not JSON: it has no end')
  if (!isUtf8(bytes)) throw new NotJson('it is not UTF-8')
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new NotJson('it is not JSON')
  }
  if (membersOf(value) !== members) throw new Unreadable('an object in it has a member twice')
  return value
}

/** Whether it could be the beginning of JSON, without the end. */
export function isUnfinished(bytes: Uint8Array): boolean {
  return shapeOf(bytes).unfinished
}

/** @throws {TooManyParts} */
function shapeOf(bytes: Uint8Array): Shape {
  const parts = new PartCount()
  let members = 0
  let depth = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte === QUOTE) {
      i = endOfText(bytes, i + 1)
      if (i === -1) return { members, unfinished: true }
    } else if (byte === COLON) members++
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      parts.add()
      depth++
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      depth--
      if (depth < 0) return { members, unfinished: false }
    }
  }
  return { members, unfinished: depth > 0 }
}

/**
 * Where the quote is that ends a text, or -1. Most texts are short; in long ones, entries above all, the system looks many times
 * as fast.
 */
function endOfText(bytes: Uint8Array, start: number): number {
  for (let at = start; ; ) {
    const near = Math.min(at + NEAR_BYTES, bytes.length)
    while (at < near) {
      const byte = bytes[at]
      if (byte === QUOTE) return at
      at += byte === BACKSLASH ? 2 : 1
    }
    const quote = bytes.indexOf(QUOTE, at)
    if (quote === -1 || !isEscaped(bytes, at, quote)) return quote
    at = quote + 1
  }
}

/** @param from where nothing is escaped */
function isEscaped(bytes: Uint8Array, from: number, quote: number): boolean {
  let first = quote
  while (first > from && bytes[first - 1] === BACKSLASH) first--
  return (quote - first) % 2 === 1
}

/** At every depth, which has no bound. */
function membersOf(value: unknown): number {
  let members = 0
  const left: object[] = typeof value === 'object' && value !== null ? [value] : []
  for (let one = left.pop(); one !== undefined; one = left.pop()) {
    if (Array.isArray(one)) {
      for (const item of one) if (typeof item === 'object' && item !== null) left.push(item)
      continue
    }
    for (const name in one) {
      if (!hasOwn.call(one, name)) continue
      members++
      const member = (one as Readonly<Record<string, unknown>>)[name]
      if (typeof member === 'object' && member !== null) left.push(member)
    }
  }
  return members
}
