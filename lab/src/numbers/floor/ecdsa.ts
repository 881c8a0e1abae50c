/*
 * Signatures over P-256 as JWS has them, r‖s with the lower of two s, and as OpenSSL has them, in DER. Node converts them by
 * itself (`dsaEncoding`), which takes a whole signature's time on Node 24: the floor is as low as it can be.
 */

const SIZE = 32
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

export function toDer(raw: Buffer): Buffer {
  const numbers = Buffer.concat([integer(raw.subarray(0, SIZE)), integer(raw.subarray(SIZE))])
  return Buffer.concat([Buffer.of(0x30, numbers.length), numbers])
}

export function fromDer(der: Buffer): Buffer {
  const raw = Buffer.alloc(2 * SIZE)
  const second = 4 + (der[3] as number)
  const r = der.subarray(4, second)
  const s = der.subarray(second + 2)
  place(raw, SIZE, r)
  place(raw, 2 * SIZE, s)
  const value = BigInt(`0x${raw.toString('hex', SIZE)}`)
  if (value > ORDER / 2n) raw.write((ORDER - value).toString(16).padStart(2 * SIZE, '0'), SIZE, 'hex')
  return raw
}

function integer(bytes: Buffer): Buffer {
  let first = 0
  while (first < bytes.length - 1 && bytes[first] === 0) first++
  const short = bytes.subarray(first)
  const positive = (short[0] as number) < 0x80 ? short : Buffer.concat([Buffer.of(0), short])
  return Buffer.concat([Buffer.of(0x02, positive.length), positive])
}

/** Without the zero that a sign would need, and with those that it lacks. */
function place(raw: Buffer, end: number, number: Buffer): void {
  const digits = number.subarray(Math.max(0, number.length - SIZE))
  digits.copy(raw, end - digits.length)
}
