import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { expect, it } from 'vitest'
import { fromDer, toDer } from './ecdsa.js'

it('converts signatures as Node does, whatever zeros are in them, with the lower s', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  for (let i = 0; i < 1_000; i++) {
    const input = Buffer.from(`${i}`)
    const raw = fromDer(sign('sha256', input, privateKey))
    expect(raw.length).toBe(64)
    expect(raw[32]).toBeLessThan(0x80)
    expect(verify('sha256', input, { key: publicKey, dsaEncoding: 'ieee-p1363' }, raw)).toBe(true)
    expect(verify('sha256', input, publicKey, toDer(raw))).toBe(true)
  }
})
