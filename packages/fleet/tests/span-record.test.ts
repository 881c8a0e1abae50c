import type { Claim, ExportedSpan } from '@kest/audit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeSpan, encodeSpan, signatureIn } from '../src/split/span-record.js'

const MEMBER = '"signature":"e30.e30.AA"'

function spanWith(
  claims: Readonly<Record<string, Claim>>,
  name = 'kest.verified',
  service = 'orders',
): ExportedSpan {
  const place = { file: 'otlp_spans/0', line: 7 }
  return { name, traceId: null, spanId: null, service, claims, receivedAt: null, place }
}

/** As whoever reads all of it finds it. */
function signatureOf(value: Buffer): string | undefined {
  const signature = decodeSpan({ value })?.claims.signature
  return typeof signature === 'string' ? signature : undefined
}

describe('a span between the stages', () => {
  it('K-FLEET has the entry that reading all of it finds, whatever is in its texts', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('signature', MEMBER, `{${MEMBER}}`, '\\', '"', '\\"signature":"', 'e30.e30.AA', ''),
    )
    const claim = fc.oneof(text, fc.constant(null), fc.integer(), fc.boolean())
    const claims = fc.dictionary(fc.constantFrom('operation', 'signature', 'passport', 'denial'), claim)
    fc.assert(
      fc.property(claims, text, text, (some, name, service) => {
        const value = encodeSpan(spanWith(some, name, service))
        expect(signatureIn({ value })).toBe(signatureOf(value))
      }),
    )
  })

  it('K-FLEET has none in what is no span, or cut off', () => {
    const whole = encodeSpan(spanWith({ signature: 'e30.e30.A\u00e4' }))
    for (const value of [
      null,
      Buffer.alloc(0),
      Buffer.from('{}'),
      whole.subarray(0, whole.indexOf('e30') + 3),
    ])
      expect(signatureIn({ value })).toBeUndefined()
  })
})
