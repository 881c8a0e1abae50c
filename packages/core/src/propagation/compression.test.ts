import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compress, decompress } from './compression.js'

function codeOf(value: string, maxBytes = 1000): string {
  try {
    decompress(value, maxBytes)
    return 'none'
  } catch (error) {
    return (error as { code: string }).code
  }
}

const text = '["a.b.c"]'
const stream = deflateSync(text)
/** Its base64 needs no padding. */
const whole = streamOf((data) => data.length % 3 === 0).toString('base64url')
/** Its base64 ends in two characters of padding, and a digit with unused bits. */
const odd = streamOf((data) => data.length % 3 === 1).toString('base64url')
const slashed = streamOf((data) => data.length % 3 === 0 && data.toString('base64').includes('/'))

/** A stream that is right, and has a property that the defect needs. */
function streamOf(property: (stream: Buffer) => boolean): Buffer {
  for (let i = 0; ; i++) {
    const data = deflateSync(`${text}${i}`)
    if (property(data)) return data
  }
}

describe('compression', () => {
  it('F-CP-07 F-CP-08 gives back what it took', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        expect(decompress(compress(value), 10_000).toString()).toBe(value)
      }),
    )
  })

  it('F-CP-08 reads base64url with and without padding, of any level', () => {
    for (let length = 0; length < 12; length++) {
      for (const level of [0, 1, 9]) {
        const data = deflateSync('x'.repeat(length), { level })
        const unpadded = data.toString('base64url')
        const padded = unpadded.padEnd(Math.ceil(unpadded.length / 4) * 4, '=')
        expect(decompress(unpadded, 100)).toHaveLength(length)
        expect(decompress(padded, 100)).toHaveLength(length)
      }
    }
  })

  it('reads the streams that the defects below are made of', () => {
    for (const value of [whole, `${odd}==`, odd, slashed.toString('base64url')])
      expect(codeOf(value)).toBe('none')
  })

  it.each([
    ['standard base64', slashed.toString('base64')],
    ['too much padding', `${whole}====`],
    ['padding where none belongs', `${whole}=`],
    ['too little padding', `${odd}=`],
    ['white space', `${whole} `],
    ['white space inside', `${whole.slice(0, 4)}\n${whole.slice(4)}`],
    ['something behind the padding', `${odd}==${odd}==`],
    ['a digit too many', `${whole}A`],
    ['unused bits', odd.replace(/.$/, (last) => String.fromCharCode(last.charCodeAt(0) + 1))],
    ['a cut stream', stream.subarray(0, -1).toString('base64url')],
    ['a stream cut after its header', stream.subarray(0, 2).toString('base64url')],
    ['something behind the stream', Buffer.concat([stream, Buffer.from('x')]).toString('base64url')],
    ['a second stream behind the first', Buffer.concat([stream, stream]).toString('base64url')],
    ['a wrong checksum', Buffer.concat([stream.subarray(0, -1), Buffer.of(0)]).toString('base64url')],
    ['gzip', gzipSync(text).toString('base64url')],
    ['raw deflate', deflateRawSync(text).toString('base64url')],
    ['a preset dictionary', deflateSync(text, { dictionary: Buffer.from('abc') }).toString('base64url')],
    ['nothing', ''],
  ])('refuses %s', (_, value) => {
    expect(codeOf(value)).toBe('ERR_KEST_BAGGAGE')
  })

  it('K-LIMIT inflates up to the bound, and not beyond', () => {
    expect(codeOf(compress('x'.repeat(1000)))).toBe('none')
    expect(codeOf(compress('x'.repeat(1001)))).toBe('ERR_KEST_LIMIT')
  })

  it('K-LIMIT stops at its bound inside a bomb', () => {
    const bomb = deflateSync(Buffer.alloc(200_000_000)).toString('base64url')
    const before = process.memoryUsage().arrayBuffers
    expect(codeOf(bomb, 1_048_576)).toBe('ERR_KEST_LIMIT')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20_000_000)
  })

  it('throws nothing but KestError, whatever the value', () => {
    const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array).toString('base64url'))
    fc.assert(
      fc.property(
        fc.oneof(
          bytes,
          fc.string(),
          bytes.map((value) => `eJ${value}`),
        ),
        (value) => {
          expect(codeOf(value)).toBeOneOf(['none', 'ERR_KEST_BAGGAGE', 'ERR_KEST_LIMIT'])
        },
      ),
      { numRuns: 1000 },
    )
  })
})
