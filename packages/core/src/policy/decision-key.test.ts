import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decisionKeys, IGNORABLE_FIELDS, type IgnorableField, withhold } from './decision-key.js'
import type { PolicyContext, PolicyRequest } from './engine.js'

/** Texts that could be taken for what stands between texts. */
const text = fc.constantFrom('', '0', '1', ':', ';', '1:', '0;', '-', '#0', '!', 'a', '1:a', '"', 'null')
const nullable = fc.option(text)
const texts = fc.array(text, { maxLength: 2 })
const score = fc.constantFrom(0, 1, 10, 100)

const context = fc.record({
  subject: fc.record({
    workload: text,
    user: nullable,
    agent: nullable,
    task: nullable,
    trust_score: score,
    taints: texts,
    identity_by: nullable,
  }),
  object: fc.record({ id: text, attributes: fc.dictionary(text, nullable, { maxKeys: 1 }) }),
  environment: fc.record({
    is_root: fc.boolean(),
    source_type: text,
    parent_hash: text,
    policy_names: texts,
    policy_tier: fc.constantFrom('function', 'platform'),
    active_deviations: fc.array(
      fc.record({ policy: text, tier: text, reason: fc.constant('r'), approver: fc.constant('a') }),
      { maxLength: 1 },
    ),
    classification: text,
  }),
  identity: text,
  trust_score: score,
  lineage: fc.record({
    depth: fc.constant(0),
    principals: texts,
    operations: texts,
    classifications: texts,
  }),
}) as fc.Arbitrary<PolicyContext>

/** Two that are the same but for one part, or the same in another object. */
const neighbours = fc
  .tuple(context, context)
  .chain(([one, other]) =>
    fc
      .constantFrom(...[one, other].flatMap((all) => Object.keys(all)), 'none')
      .map((part) => [one, structuredClone({ ...one, [part]: other[part as keyof PolicyContext] })] as const),
  )

function requestOf(context: PolicyContext, entryId = 'e'): PolicyRequest {
  return { entryId, policies: context.environment.policy_names, context }
}

describe('the key of a decision', () => {
  it('is the same for two questions if, and only if, an engine would see the same', () => {
    const seen = { same: 0, different: 0 }
    fc.assert(
      fc.property(neighbours, fc.subarray([...IGNORABLE_FIELDS]), ([one, other], fields) => {
        const ignored = new Set(fields)
        const keyOf = decisionKeys(ignored)
        const same = isDeepStrictEqual(
          JSON.parse(JSON.stringify(withhold(one, ignored))),
          JSON.parse(JSON.stringify(withhold(other, ignored))),
        )
        seen[same ? 'same' : 'different']++
        expect(keyOf(requestOf(one, 'e1')) === keyOf(requestOf(other, 'e2'))).toBe(same)
      }),
      { numRuns: 5_000, seed: 5 },
    )
    expect(Math.min(seen.same, seen.different)).toBeGreaterThan(500)
  })

  it('is another for every choice of texts, also of those that look like what stands between texts', () => {
    const letters = ['1', ':', ';', '-']
    const every = [null, '', ...letters, ...letters.flatMap((a) => letters.map((b) => a + b))]
    const lists = [[], ...letters.map((a) => [a]), ...letters.flatMap((a) => letters.map((b) => [a, b]))]
    const [sample] = fc.sample(context, { numRuns: 1, seed: 1 }) as [PolicyContext]
    const keyOf = decisionKeys(new Set())
    const keys = new Set<string>()
    for (const user of every) {
      for (const agent of every) {
        for (const taints of lists)
          keys.add(keyOf(requestOf({ ...sample, subject: { ...sample.subject, user, agent, taints } })))
      }
    }
    expect(keys.size).toBe(every.length ** 2 * lists.length)
  })

  it('tells policies apart that are asked beside what the context names', () => {
    const [{ ...one }] = fc.sample(context, { numRuns: 1, seed: 1 }) as [PolicyContext]
    const keyOf = decisionKeys(new Set())
    const keys = [['p'], ['q'], ['p', 'q']].map((policies) => keyOf({ ...requestOf(one), policies }))
    expect(new Set(keys).size).toBe(3)
  })
})

describe('what is ignored', () => {
  const [sample] = fc.sample(context, { numRuns: 1, seed: 1 }) as [PolicyContext]

  it.each<[IgnorableField, string[]]>([
    ['environment.parent_hash', ['environment.parent_hash']],
    ['object.attributes', ['object.attributes']],
    ['subject.user', ['subject.user']],
    ['trust_score', ['subject.trust_score', 'trust_score']],
    ['lineage', ['lineage']],
  ])('%s is withheld from the engine, and nothing else', (field, gone) => {
    const shown = withhold(sample, new Set([field]))
    expect(paths(sample).filter((path) => !paths(shown).includes(path))).toEqual(gone)
    for (const part of [shown, shown.subject, shown.object, shown.environment])
      expect(part).toSatisfy(Object.isFrozen)
  })

  it('of nothing shows the context itself', () => {
    expect(withhold(sample, new Set())).toBe(sample)
  })

  function paths(of: PolicyContext): string[] {
    return Object.entries(of)
      .flatMap(([name, value]) =>
        ['subject', 'object', 'environment'].includes(name)
          ? Object.keys(value).map((member) => `${name}.${member}`)
          : [name],
      )
      .sort()
  }
})
