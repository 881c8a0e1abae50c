import { generateKeyPairSync, sign, verify } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromDer, toDer } from './ecdsa-der.js'

const CURVES = [
  ['P-256', 32, 'sha256'],
  ['P-384', 48, 'sha384'],
] as const

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

/** r‖s of each kind: any bytes, and those with zeros before them. */
function raw(size: number): fc.Arbitrary<Buffer> {
  const scalar = fc
    .tuple(fc.uint8Array({ minLength: size, maxLength: size }), fc.nat({ max: size - 1 }))
    .map(([bytes, zeros]) => bytes.fill(0, 0, zeros))
    .filter((bytes) => bytes.some((byte) => byte !== 0))
  return fc.tuple(scalar, scalar).map((both) => Buffer.concat(both))
}

describe('an ECDSA signature in DER', () => {
  it.each(CURVES)('is what OpenSSL writes, and back: %s', (namedCurve, size, digest) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve })
    for (let n = 0; n < 300; n++) {
      const data = Buffer.from(String(n))
      const der = sign(digest, data, privateKey)
      const signature = fromDer(der, size)
      expect(toDer(signature)).toEqual(der)
      const asRaw = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const
      expect(verify(digest, data, asRaw, signature)).toBe(true)
    }
  })

  it.each(CURVES)('is one of r‖s whatever they are: %s', (_, size) => {
    fc.assert(
      fc.property(raw(size), (any) => {
        expect(fromDer(toDer(any), size)).toEqual(any)
      }),
    )
  })

  it('has integers as short as they can be, and positive', () => {
    const small = Buffer.alloc(64)
    small[31] = 1
    small[63] = 0x80
    expect(toDer(small)).toEqual(hex('30 07 02 01 01 02 02 00 80'))
    expect(fromDer(hex('30 07 02 01 01 02 02 00 80'), 32)).toEqual(small)
  })

  it.each([
    ['nothing', ''],
    ['another tag', '31 06 02 01 01 02 01 01'],
    ['another length', '30 07 02 01 01 02 01 01'],
    ['something after it', '30 06 02 01 01 02 01 01 00'],
    ['one integer', '30 03 02 01 01'],
    ['an integer that is none', '30 06 02 01 01 03 01 01'],
    ['an integer without bytes', '30 05 02 01 01 02 00'],
    ['an integer beyond the end', '30 06 02 01 01 02 02 01'],
    ['an integer that is too long', `30 26 02 21 01${'00'.repeat(32)} 02 01 01`],
  ])('is refused: %s', (_, text) => {
    expect(() => fromDer(hex(text), 32)).toThrow(TypeError)
  })
})
