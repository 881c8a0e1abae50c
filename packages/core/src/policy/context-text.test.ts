import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalize } from '../entry/canonicalize.js'
import { contextText } from './context-text.js'
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

function isWellFormed(value: unknown): boolean {
  try {
    canonicalize(value)
    return true
  } catch {
    return false
  }
}
