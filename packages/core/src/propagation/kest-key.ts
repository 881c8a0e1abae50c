import { KEST_PREFIX } from './baggage-names.js'

const CANONICAL = /^kest\.[a-z0-9_.-]+$/
/** Visible ASCII that every reader takes for itself: no escape, and no plus sign. */
const PLAIN = /^[!-$&-*,-~]*$/
/** With the plus sign, which some readers take for a space. */
const INVISIBLE = /[\s\p{C}+]+/gu
/** Node hands on the bytes of a header as Latin-1, and others read UTF-8 in them. */
const READINGS = ['utf8', 'latin1'] as const
const PERCENT = 0x25

/** Whether a baggage key is one of ours in the one spelling it may have. */
export function isKestKey(key: string): boolean {
  return CANONICAL.test(key)
}

/**
 * Whether some reader could take a baggage key for one of ours: in other case, percent-encoded (once or more often),
 * or with white space and invisible characters in it, in any encoding. Every canonical key resembles itself.
 */
export function resemblesKest(key: string): boolean {
  if (PLAIN.test(key)) return startsWithPrefix(key)
  return READINGS.some((encoding) => {
    const bytes = Buffer.from(key, encoding)
    return startsWithPrefix(unescapeFully(bytes).replace(INVISIBLE, ''))
  })
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
