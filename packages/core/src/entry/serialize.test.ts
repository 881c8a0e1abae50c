import canonicalizeOracle from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { entryWith, failure } from '../../tests/support/signed.js'
import { canonicalize } from './canonicalize.js'
import type { JsonObject, KestEntry } from './entry.js'
import { serializeEntry } from './serialize.js'

const text = fc.string({ unit: 'binary' }).filter((value) => !/\p{Surrogate}/u.test(value))
const texts = fc.array(text, { maxLength: 3 })
const free = fc.dictionary(text, fc.jsonValue({ maxDepth: 3 })) as fc.Arbitrary<JsonObject>
const entry: fc.Arbitrary<KestEntry> = fc
  .record({
    operation: text,
    classification: text,
    trust_score: fc.integer({ min: 0, max: 100 }),
    parent_ids: texts,
    added_taints: texts,
    removed_taints: texts,
    taints: texts,
    environment: free,
    otel_context: free,
    metadata: fc.oneof(fc.constant(null), fc.jsonValue({ maxDepth: 3 })) as fc.Arbitrary<
      KestEntry['metadata']
    >,
    content_hash: text,
    timestamp_ms: fc.maxSafeNat(),
    labels: fc.dictionary(text, text, { maxKeys: 24, size: 'medium' }),
    policy_context: fc.record({
      enterprise_policies: texts,
      platform_policies: texts,
      app_policies: texts,
      function_policies: texts,
      deviations: fc.array(fc.record({ policy: text, tier: text, reason: text, approver: text }), {
        maxLength: 2,
      }),
    }),
  })
  .map((changes) => entryWith(changes))

describe('serializeEntry', () => {
  it('F-AE-03 NF-CORR-01 writes the RFC 8785 form, as another implementation does', () => {
    fc.assert(
      fc.property(entry, (any) => {
        const json = serializeEntry(any)
        expect(json).toBe(canonicalizeOracle(any))
        expect(json).toBe(canonicalize(any))
      }),
      { numRuns: 1000 },
    )
  })

  it('writes members that the protocol does not know', () => {
    const odd = {
      ...entryWith(),
      zz: 1,
      runtime: { name: 'a', version: 'b', arch: 'c' },
    } as KestEntry
    expect(serializeEntry(odd)).toBe(canonicalizeOracle(odd))
    const policies = { ...entryWith().policy_context, other: ['x'] }
    const other = { ...entryWith(), policy_context: policies }
    expect(serializeEntry(other)).toBe(canonicalizeOracle(other))
  })

  it.each<[string, object]>([
    ['operation', { operation: undefined }],
    ['operation', { operation: 5 }],
    ['operation', { operation: 'a\ud800' }],
    ['labels', { labels: { '\udfff': 'x' } }],
    ['labels', { labels: { a: 1 } }],
    ['taints', { taints: ['a', null] }],
    ['taints', { taints: 'ab' }],
    ['trust_score', { trust_score: Number.NaN }],
    ['timestamp_ms', { timestamp_ms: 1.5 }],
    ['metadata', { metadata: () => 1 }],
    ['metadata', { metadata: undefined }],
    ['environment', { environment: { a: Number.POSITIVE_INFINITY } }],
    ['otel_context', { otel_context: new Date() }],
  ])('refuses a wrong %s (%#)', async (_, changes) => {
    const wrong = { ...entryWith(), ...changes } as KestEntry
    expect((await failure(() => serializeEntry(wrong))).code).toBe('ERR_KEST_NOT_JSON')
  })

  it('K-LIMIT nests an entry as deep as a verifier reads, and no deeper', async () => {
    const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)])
    const deep = (depth: number): KestEntry => entryWith({ metadata: nested(depth) as KestEntry['metadata'] })
    const allowed = deep(63)
    expect(serializeEntry(allowed)).toBe(canonicalize(allowed))
    expect((await failure(() => serializeEntry(deep(64)))).code).toBe('ERR_KEST_NOT_JSON')
  })
})
