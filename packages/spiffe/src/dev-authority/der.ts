import { encodeOid } from '../x509/oid.js'

/** Writes DER (X.690): what certificates of this authority are made of. Reading is done by others. */

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const
const CONTEXT = 0x80
const CONSTRUCTED = 0x20
/** RFC 5280 §4.1.2.5: times before 2050 are written the short way. */
const SHORT_TIME_ENDS = Date.UTC(2050, 0, 1)

/** A value with its tag and length. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents)
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body])
  const length = Buffer.from(evenHex(body.length.toString(16)), 'hex')
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body])
}

export function sequence(...members: readonly Uint8Array[]): Buffer {
  return der(TAG.sequence, ...members)
}

export function set(...members: readonly Uint8Array[]): Buffer {
  return der(TAG.set, ...members)
}

/** `[number]`, of a value that has no tag of its own. */
export function tagged(number: number, content: Uint8Array): Buffer {
  return der(CONTEXT | number, content)
}

/** `[number]` around whole values. */
export function wrapped(number: number, ...members: readonly Uint8Array[]): Buffer {
  return der(CONTEXT | CONSTRUCTED | number, ...members)
}

export function boolean(value: boolean): Buffer {
  return der(TAG.boolean, Buffer.from([value ? 0xff : 0]))
}

/** A whole number, not negative; its bytes, the highest first. */
export function integer(value: number | Uint8Array): Buffer {
  const bytes = typeof value === 'number' ? Buffer.from(evenHex(value.toString(16)), 'hex') : value
  return der(TAG.integer, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes)
}

export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return der(TAG.bitString, Buffer.of(unusedBits), bytes)
}

/** Bits by their number, as a named bit list: without zeros at the end (X.690 §11.2.2). */
export function namedBits(bits: readonly number[]): Buffer {
  const last = Math.max(-1, ...bits)
  const bytes = Buffer.alloc((last >> 3) + 1)
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7))
  return bitString(bytes, last === -1 ? 0 : 7 - (last & 7))
}

export function octetString(content: Uint8Array): Buffer {
  return der(TAG.octetString, content)
}

export function utf8String(text: string): Buffer {
  return der(TAG.utf8String, Buffer.from(text, 'utf8'))
}

/** @param name with dots */
export function oid(name: string): Buffer {
  return der(TAG.oid, encodeOid(name))
}

/** @param at milliseconds since the epoch; the second counts */
export function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return at < SHORT_TIME_ENDS
    ? der(TAG.utcTime, Buffer.from(digits.slice(2)))
    : der(TAG.generalizedTime, Buffer.from(digits))
}

function evenHex(hex: string): string {
  return hex.length % 2 === 0 ? hex : `0${hex}`
}
