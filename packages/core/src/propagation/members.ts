import { beginsOtherwise, createKeyTest, isKestKey } from './kest-key.js'

/** A member of ours in a baggage header, or something that could be taken for one. */
export interface KestMember {
  readonly key: string
  /** As written: percent-encoded, or an array without any escape, commas and all (K-RAW). */
  readonly value: string
  /** Why it cannot be believed; `null` when it is well-formed. */
  readonly fault: string | null
}

/** The members of a baggage header: those of others exactly as written, and ours. */
export interface SplitBaggage {
  readonly foreign: readonly string[]
  readonly kest: readonly KestMember[]
}

/** What may stand between the brackets of an unencoded passport (K-RAW): JWS characters, quotes, commas, spaces. */
const RAW_CHARACTERS = /[A-Za-z0-9_.", -]*/y
const KEY_END = /[=;]/
const PRINTABLE = /^[\x20-\x7e]*$/

/**
 * Splits a baggage header (W3C Baggage §3.3.1) at its commas, in linear time. Judges, and never throws: a reader
 * refuses members with a fault, whoever only removes our members removes those with faults too. Empty list elements
 * are not members (RFC 9110 §5.6.1).
 */
export function splitMembers(header: string): SplitBaggage {
  const foreign: string[] = []
  const kest: KestMember[] = []
  const isOurs = createKeyTest()
  let end: number
  for (let at = 0; at < header.length; at = end + 1) {
    end = elementEnd(header, at)
    const text = trimOws(header, at, end)
    if (text === '') continue
    if (beginsOtherwise(text, 0, text.length)) {
      foreign.push(text)
      continue
    }
    const keyEnd = text.search(KEY_END)
    const key = keyEnd < 0 ? text : trimOws(text, 0, keyEnd)
    if (!isOurs(key)) {
      foreign.push(text)
    } else if (text[keyEnd] !== '=') {
      kest.push({ key, value: '', fault: 'it has no value' })
    } else {
      const value = trimOws(text, keyEnd + 1, text.length)
      if (value.startsWith('[')) {
        const raw = readRaw(header, header.indexOf('[', header.indexOf('=', at)), end)
        end = raw.end
        kest.push({ key, value: raw.value, fault: spellingFault(key) ?? raw.fault })
      } else {
        kest.push({ key, value, fault: spellingFault(key) ?? valueFault(value) })
      }
    }
  }
  return { foreign, kest }
}

/**
 * An unencoded JSON array from its `[` on. Where it is malformed it still ends where its last fragment does, so that
 * removing it leaves no piece of a passport behind: fragments are list elements without `=`, up to one that ends in `]`.
 */
function readRaw(
  header: string,
  open: number,
  end: number,
): { value: string; end: number; fault: string | null } {
  RAW_CHARACTERS.lastIndex = open + 1
  RAW_CHARACTERS.test(header)
  const close = RAW_CHARACTERS.lastIndex
  if (header[close] === ']') {
    const after = elementEnd(header, close)
    if (trimOws(header, close + 1, after) === '') {
      return { value: header.slice(open, close + 1), end: after, fault: null }
    }
  }
  let from = open
  let last = end
  while (last < header.length && !trimOws(header, from, last).endsWith(']')) {
    const next = elementEnd(header, last + 1)
    const fragment = header.slice(last + 1, next)
    if (fragment.includes('=')) break
    from = last + 1
    last = next
  }
  return {
    value: '',
    end: last,
    fault: 'an unencoded array holds JWS characters, quotes, commas and spaces, up to its "]"',
  }
}

function spellingFault(key: string): string | null {
  return isKestKey(key) ? null : 'the key is spelled otherwise than "kest.<lower-case name>"'
}

function valueFault(value: string): string | null {
  // A property would be the rest of a value whose writer did not encode its semicolon.
  if (value.includes(';')) return 'members of Kest have no properties'
  return PRINTABLE.test(value) ? null : 'the value has characters outside printable ASCII'
}

function elementEnd(header: string, from: number): number {
  const comma = header.indexOf(',', from)
  return comma < 0 ? header.length : comma
}

/** What stands from `start` to `end`. Optional white space of HTTP is space and tab, and nothing else that `trim` would take. */
function trimOws(text: string, start: number, end: number): string {
  let from = start
  let to = end
  while (from < to && isOws(text.charCodeAt(from))) from++
  while (to > from && isOws(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

function isOws(code: number): boolean {
  return code === 0x20 || code === 0x09
}
