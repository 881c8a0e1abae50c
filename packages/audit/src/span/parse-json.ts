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
  let text = false
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (text) {
      if (byte === BACKSLASH) i++
      else if (byte === QUOTE) text = false
    } else if (byte === QUOTE) text = true
    else if (byte === COLON) members++
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      parts.add()
      depth++
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      depth--
      if (depth < 0) return { members, unfinished: false }
    }
  }
  return { members, unfinished: text || depth > 0 }
}

/** At every depth, which has no bound. */
function membersOf(value: unknown): number {
  let members = 0
  const left: unknown[] = [value]
  while (left.length > 0) {
    const one = left.pop()
    if (typeof one !== 'object' || one === null) continue
    const inner = Object.values(one)
    if (!Array.isArray(one)) members += inner.length
    for (const item of inner) if (typeof item === 'object') left.push(item)
  }
  return members
}
