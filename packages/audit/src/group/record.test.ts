import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ExportedSpan } from '../span/exported-span.js'
import { encodeRecord, readKey, readRecord, readSignature, writeRecord } from './record.js'

const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('', 'é', '\u00ff', '€', '😀', '"', '\\'),
)
const claim = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null))
const span: fc.Arbitrary<ExportedSpan> = fc.record({
  name: text,
  traceId: fc.option(fc.constant('a'.repeat(32))),
  spanId: fc.option(fc.constant('b'.repeat(16))),
  service: fc.option(text),
  claims: fc.record(
    { signature: claim, passport: claim, operation: claim, trustScore: claim },
    { requiredKeys: [] },
  ),
  receivedAt: fc.option(fc.nat()),
  place: fc.record({ file: text, line: fc.option(fc.nat()) }),
})

describe('a record', () => {
  it('is as bytes what it was, whatever its texts', () => {
    fc.assert(
      fc.property(span, fc.constantFrom('', 'f'.repeat(32)), fc.nat({ max: 50 }), (any, key, at) => {
        const encoded = encodeRecord({ key, span: any })
        const bytes = Buffer.alloc(at + encoded.bytes)
        writeRecord(encoded, bytes, at)
        expect(bytes.readUInt32LE(at)).toBe(encoded.bytes)
        expect(readRecord(bytes, at)).toEqual({ key, span: any })
        expect(readKey(bytes, at)).toBe(key)
        const { signature } = any.claims
        expect(readSignature(bytes, at)).toBe(signature === '' ? undefined : textOnly(signature))
      }),
      { numRuns: 1_000 },
    )
  })
})

function textOnly(claim: unknown): string | undefined {
  return typeof claim === 'string' ? claim : undefined
}
