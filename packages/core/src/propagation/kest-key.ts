import { KEST_PREFIX } from './baggage-names.js'

const CANONICAL = /^kest\.[a-z0-9_.-]+$/
const VISIBLE_ASCII = /^[!-~]*$/
const INVISIBLE = /[\s\p{C}]+/gu
const PERCENT = 0x25

/** Whether a baggage key is one of ours in the one spelling it may have. */
export function isKestKey(key: string): boolean {
  return CANONICAL.test(key)
}

/**
 * Whether some reader could take a baggage key for one of ours: in other case, percent-encoded (once or more often),
 * or with white space and invisible characters in it. Every canonical key resembles itself.
 */
export function resemblesKest(key: string): boolean {
  const escaped = key.includes('%')
  if (!escaped && VISIBLE_ASCII.test(key)) return startsWithPrefix(key)
  return startsWithPrefix((escaped ? unescapeFully(key) : key).replace(INVISIBLE, ''))
}

function startsWithPrefix(text: string): boolean {
  return text.slice(0, KEST_PREFIX.length).toLowerCase() === KEST_PREFIX
}

/** Percent-decodes until nothing is left to decode, in one pass: each escape shortens what was written so far. */
function unescapeFully(key: string): string {
  // UTF-8, since the escapes of one non-ASCII character are bytes of it.
  const bytes = Buffer.from(key)
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
  return bytes.toString('utf8', 0, end)
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return Number.NaN
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN
}
