import { randomBytes } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { pack, unpack } from './value.js'

const LIMIT = 10_000
const refused = expect.objectContaining({ code: 'ERR_KEST_CACHE' })

it.each([
  '',
  '1',
  'é'.repeat(100),
  'a'.repeat(LIMIT),
  'é'.repeat(5_000),
  randomBytes(3_000).toString('base64url'),
])('gives back what was packed', (value) => {
  expect(unpack(pack(value), LIMIT)).toBe(value)
})

it('compresses what is long', () => {
  expect(pack('["eyJhbGciOiJFZERTQSJ9"]'.repeat(100)).length).toBeLessThan(200)
  expect(pack('1').toString()).toBe('01')
})

it.each([
  ['nothing', Buffer.alloc(0)],
  ['another form', Buffer.from('["a.b.c"]')],
  ['more than the bound', Buffer.from(`0${'a'.repeat(LIMIT + 1)}`)],
  ['a stream that was cut', pack('a'.repeat(5_000)).subarray(0, -1)],
  ['a bit that fell over', flipped(pack(randomBytes(3_000).toString('base64url')))],
  ['a bomb', Buffer.concat([Buffer.from('1'), deflateSync('a'.repeat(1_000_000))])],
])('K-LIMIT refuses %s', (_, stored) => {
  expect(() => unpack(stored, LIMIT)).toThrow(refused)
})

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  const middle = copy.length >> 1
  copy[middle] = (copy[middle] as number) ^ 1
  return copy
}
