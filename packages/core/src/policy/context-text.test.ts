import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalize } from '../entry/canonicalize.js'
import { contextJson, contextText, SharedText, shareText } from './context-text.js'
import { IGNORABLE_FIELDS, type IgnorableField, withhold } from './decision-key.js'
import type { PolicyContext } from './engine.js'

const text = fc.string({ unit: 'grapheme', maxLength: 12 })
const texts = fc.array(text, { maxLength: 5 })
const nullable = fc.option(text)
const record = fc.record({ policy: text, tier: text, reason: text, approver: text })
const json = fc
  .dictionary(text, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 })
  .map((value) => JSON.parse(JSON.stringify(value)))
  .filter(isWellFormed)

const contexts = fc.record({
  subject: fc.record({
    workload: text,
    user: nullable,
    agent: nullable,
    task: nullable,
    trust_score: fc.nat(100),
    taints: texts,
    identity_by: nullable,
  }),
  object: fc.record({ id: text, attributes: json }),
  environment: fc.record({
    is_root: fc.boolean(),
    source_type: text,
    parent_hash: text,
    policy_names: texts,
    policy_tier: fc.constantFrom('enterprise', 'platform', 'application', 'function'),
    active_deviations: fc.array(record, { maxLength: 2 }),
    classification: text,
  }),
  identity: text,
  trust_score: fc.nat(100),
  lineage: fc.record({
    depth: fc.nat(9),
    principals: texts,
    operations: texts,
    classifications: texts,
  }),
}) as fc.Arbitrary<PolicyContext>

describe('the text of which kest.context is the digest', () => {
  it('K-CONTEXT is the JCS of the context as asked, without policy_names and policy_tier', () => {
    fc.assert(
      fc.property(contexts, fc.subarray([...IGNORABLE_FIELDS]), (context, fields) => {
        const withheld: ReadonlySet<IgnorableField> = new Set(fields)
        const { environment, ...rest } = withhold(context, withheld)
        const { policy_names: _, policy_tier: __, ...shown } = environment
        expect(contextText(context, withheld)).toBe(canonicalize({ ...rest, environment: shown }))
      }),
      { numRuns: 300 },
    )
  })

  it('K-CONTEXT takes the object as the entry records it', () => {
    fc.assert(
      fc.property(contexts, (context) => {
        const nothing: ReadonlySet<IgnorableField> = new Set()
        expect(contextText(context, nothing, canonicalize(context.object))).toBe(
          contextText(context, nothing),
        )
      }),
      { numRuns: 50 },
    )
  })
})

describe('the text that engines are given', () => {
  const names = fc.record({ policy_names: texts, policy_tier: fc.constantFrom('enterprise', 'function') })

  it('says what the context says, tier by tier, and the digest is the same', () => {
    fc.assert(
      fc.property(contexts, fc.array(names, { minLength: 1, maxLength: 3 }), (context, tiers) => {
        const text = new SharedText()
        for (const tier of tiers) {
          const own = { ...context, environment: { ...context.environment, ...tier } } as PolicyContext
          const digested = contextText(own, new Set())
          shareText(own, text)
          expect(JSON.parse(contextJson(Object.freeze(own)))).toEqual(own)
          expect(contextText(own, new Set())).toBe(digested)
        }
      }),
      { numRuns: 100 },
    )
  })

  it('says a lone surrogate as JSON does', () => {
    const [context] = fc.sample(contexts, 1) as [PolicyContext]
    const lone = { ...context, identity: '\ud800' }
    shareText(lone, new SharedText())
    expect(contextJson(lone)).toBe(JSON.stringify(lone))
  })

  it('says nothing of what was withheld, and nothing else of a context that somebody made of another', () => {
    fc.assert(
      fc.property(contexts, fc.subarray([...IGNORABLE_FIELDS], { minLength: 1 }), (context, fields) => {
        const shared = { ...context }
        shareText(shared, new SharedText())
        expect(JSON.parse(contextJson(shared))).toEqual(context)
        const less = withhold(shared, new Set(fields))
        expect(JSON.parse(contextJson(less))).toEqual(JSON.parse(JSON.stringify(less)))
        const other = { ...shared, identity: 'another' }
        expect(JSON.parse(contextJson(other))).toEqual(other)
      }),
      { numRuns: 100 },
    )
  })
})

function isWellFormed(value: unknown): boolean {
  try {
    canonicalize(value)
    return true
  } catch {
    return false
  }
}
