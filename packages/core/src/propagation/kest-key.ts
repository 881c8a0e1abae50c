import { KEST_PREFIX } from './baggage-names.js'

const CANONICAL = /^kest\.[a-z0-9_.-]+$/
/** Visible ASCII that every reader takes for itself: no escape, and no plus sign. */
const PLAIN = /^[!-$&-*,-~]*$/
/** With the plus sign, which some readers take for a space. */
const INVISIBLE = /[\s\p{C}+]+/gu
/** Node hands on the bytes of a header as Latin-1, and others read UTF-8 in them. */
const READINGS = ['utf8', 'latin1'] as const
const PERCENT = 0x25
const SPACE = 0x20
const PLUS = 0x2b
const K = 0x6b
const DEL = 0x7f
/** An honest header has hardly one such key: of another language, say. */
const MAX_DECODED = 64

/** Whether a baggage key is one of ours in the one spelling it may have. */
export function isKestKey(key: string): boolean {
  return CANONICAL.test(key)
}

/**
 * Whether some reader could take a baggage key for one of ours: in other case, percent-encoded (once or more often),
 * or with white space and invisible characters in it, in any encoding. Every canonical key resembles itself.
 */
export function resemblesKest(key: string): boolean {
  if (beginsOtherwise(key, 0, key.length)) return false
  if (PLAIN.test(key)) return startsWithPrefix(key)
  return READINGS.some((encoding) => {
    const bytes = Buffer.from(key, encoding)
    return startsWithPrefix(unescapeFully(bytes).replace(INVISIBLE, ''))
  })
}

/**
 * {@link resemblesKest} for the keys of one header. Of those that only decoding can tell from ours, {@link MAX_DECODED}
 * are decoded, which is dear; the rest counts as ours.
 */
export function createKeyTest(): (key: string) => boolean {
  let decoded = 0
  return (key) => (!PLAIN.test(key) && ++decoded > MAX_DECODED) || resemblesKest(key)
}

/**
 * Whether what stands in `text` from `start` to `end` begins, for every reader, with another letter than our keys do. It
 * may be a whole member: what ends a key is such a character.
 */
export function beginsOtherwise(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    let code = text.charCodeAt(at)
    if (code === PERCENT) {
      const [first, second] = [text.charCodeAt(at + 1), text.charCodeAt(at + 2)]
      code = hexDigit(first) * 16 + hexDigit(second)
      // No escape, unless another one makes it one.
      if (Number.isNaN(code)) return first !== PERCENT && second !== PERCENT
      if (code === PERCENT) return false
      at += 2
    }
    if (code > DEL) return false
    if (code > SPACE && code !== PLUS && code !== DEL) return (code | 0x20) !== K
  }
  return true
}

function startsWithPrefix(text: string): boolean {
  return text.slice(0, KEST_PREFIX.length).toLowerCase() === KEST_PREFIX
}

/** Percent-decodes until nothing is left to decode, in one pass: each escape shortens what was written so far. */
function unescapeFully(bytes: Buffer): string {
  let end = 0
  for (const byte of bytes) {
    bytes[end++] = byte
    while (end >= 3 && bytes[end - 3] === PERCENT) {
      const value = hexDigit(bytes[end - 2]) * 16 + hexDigit(bytes[end - 1])
      if (Number.isNaN(value)) break
      end -= 3
      bytes[end++] = value
    }
  }
  // UTF-8, since the escapes of one non-ASCII character are bytes of it.
  return bytes.toString('utf8', 0, end)
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return Number.NaN
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN
}
