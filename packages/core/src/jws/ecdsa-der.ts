/*
 * ECDSA signatures as OpenSSL has them, an ECDSA-Sig-Value in DER (RFC 3279 §2.2.3), and as JWS has them, r‖s (RFC 7518
 * §3.4). Node would convert them (`dsaEncoding`), but wants the key in an object of options for that, and Node 24 takes longer
 * to find out that such an object is no key than to sign.
 */

const SEQUENCE = 0x30
const INTEGER = 0x02
/** Tag and length of the sequence, and of an integer: all lengths are of one byte. */
const HEADER = 2

/** @param raw r‖s, each positive and of at most 48 bytes */
export function toDer(raw: Uint8Array): Buffer {
  const size = raw.length / 2
  const r = integerBytes(raw, 0, size)
  const s = integerBytes(raw, size, raw.length)
  const der = Buffer.allocUnsafe(3 * HEADER + r + s)
  der[0] = SEQUENCE
  der[1] = der.length - HEADER
  writeInteger(der, HEADER, raw, size, r)
  writeInteger(der, 2 * HEADER + r, raw, raw.length, s)
  return der
}

/**
 * @param size bytes of r, and of s
 * @throws {TypeError} for what is no such signature
 */
export function fromDer(der: Uint8Array, size: number): Buffer {
  const raw = Buffer.alloc(2 * size)
  if (der[0] !== SEQUENCE || der[1] !== der.length - HEADER) throw malformed()
  const end = readInteger(der, HEADER, raw, size)
  if (readInteger(der, end, raw, 2 * size) !== der.length) throw malformed()
  return raw
}

/** As short as it can be, with a zero before it where its first bit would be a sign. */
function integerBytes(raw: Uint8Array, start: number, end: number): number {
  let first = start
  while (first < end - 1 && raw[first] === 0) first++
  return end - first + ((raw[first] as number) >> 7)
}

/** @param bytes how many it has, those before `rawEnd` and a zero, if there is room for one */
function writeInteger(der: Uint8Array, at: number, raw: Uint8Array, rawEnd: number, bytes: number): void {
  der[at] = INTEGER
  der[at + 1] = bytes
  der[at + HEADER] = 0
  const last = at + HEADER + bytes - 1
  const size = Math.min(bytes, raw.length / 2)
  for (let i = 0; i < size; i++) der[last - i] = raw[rawEnd - 1 - i] as number
}

/** Puts it before `rawEnd`. @returns its end */
function readInteger(der: Uint8Array, at: number, raw: Uint8Array, rawEnd: number): number {
  let first = at + HEADER
  const end = first + (der[at + 1] ?? 0)
  if (der[at] !== INTEGER || first === end || end > der.length) throw malformed()
  while (first < end && der[first] === 0) first++
  if (end - first > raw.length / 2) throw malformed()
  for (let from = end - 1, to = rawEnd - 1; from >= first; from--, to--) raw[to] = der[from] as number
  return end
}

function malformed(): TypeError {
  return new TypeError('it is no ECDSA-Sig-Value of this curve')
}
