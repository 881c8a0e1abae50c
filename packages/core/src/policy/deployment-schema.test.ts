import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import schema from '../../schemas/deployment.json' with { type: 'json' }
import { KestConfigError } from '../errors.js'
import { DEPLOYMENT_TIERS, parseDeployment } from './deployment.js'

const described = new Ajv({ strict: true, strictTypes: false }).compile(schema)

const NOW = Date.parse('2030-01-01T00:00:00Z')

/** What the parser says; anything that it throws but its own error fails the test. */
function parses(document: unknown): boolean {
  try {
    parseDeployment(JSON.stringify(document), 'kest.yaml', NOW)
    return true
  } catch (error) {
    if (error instanceof KestConfigError) return false
    throw error
  }
}

const deviation = { policy: 'p', tier: 'platform', scope: 'op', reason: 'r', approver: 'a' }
const policies = { platform: ['p'] }
const deviating = (change: object) => ({ policies, deviations: [{ ...deviation, ...change }] })
const expiring = (expires: unknown) => deviating({ expires })
const observation = {
  what: 'policy',
  scope: 'op',
  reason: 'r',
  approver: 'a',
  expires: '2030-01-31T00:00:00Z',
}
const observing = (change: object) => ({ policies, observe: [{ ...observation, ...change }] })
const lineage = { what: 'lineage', scope: { all: true } }
const rooted = (change: object) => ({
  policies: {},
  roots: [{ workload: 'spiffe://a.test/edge', ceiling: 40, ...change }],
})

describe('the JSON Schema of the deployment file', () => {
  it.each<[string, boolean, unknown]>([
    ['no policy at all', true, { policies: {} }],
    ['every tier', true, { policies: { enterprise: ['a'], platform: ['b', 'c'], application: [] } }],
    ['a deviation', true, deviating({})],
    ['a deviation of one workload', true, deviating({ scope: { operation: 'op', workload: 'w' } })],
    ['roots', true, rooted({})],
    ['no root at all', true, { policies: {}, roots: [], rootsPolicy: 'refuse' }],
    ['roots below a path', true, rooted({ workload: 'spiffe://a.test/jobs/*', identity: true })],
    ['roots of a domain', true, rooted({ workload: 'spiffe://a.test/*', ceiling: 0 })],
    ['a root that is no SPIFFE ID', true, rooted({ workload: 'arn:aws:iam::1:role/a' })],
    ['a root that is an issuer’s subject', true, rooted({ workload: 'https://issuer.test#service' })],
    ['roots of nothing', false, { policies: {}, roots: null }],
    ['a policy for roots that are not listed', false, { policies: {}, rootsPolicy: 'refuse' }],
    ['an unknown policy for roots', false, { policies: {}, roots: [], rootsPolicy: 'enforce' }],
    ['a root without a ceiling', false, rooted({ ceiling: undefined })],
    ['a root without a workload', false, rooted({ workload: undefined })],
    ['a ceiling above 100', false, rooted({ ceiling: 101 })],
    ['a ceiling that is a fraction', false, rooted({ ceiling: 0.5 })],
    ['a ceiling that is text', false, rooted({ ceiling: '40' })],
    ['an identity that is text', false, rooted({ identity: 'yes' })],
    ['a root with an unknown key', false, rooted({ trust: 40 })],
    ['a star alone', false, rooted({ workload: '*' })],
    ['a star for a part of a name', false, rooted({ workload: 'spiffe://a.test/job*' })],
    ['a star in the middle', false, rooted({ workload: 'spiffe://a.test/*/job' })],
    ['a star for a domain', false, rooted({ workload: 'spiffe://*/job' })],
    ['a star after what is no SPIFFE ID', false, rooted({ workload: 'arn:aws:iam::1:role/*' })],
    ['a SPIFFE ID that ends in a slash', false, rooted({ workload: 'spiffe://a.test/job/' })],
    ['a SPIFFE ID without a domain', false, rooted({ workload: 'spiffe:///job' })],
    ['a SPIFFE ID in capitals', false, rooted({ workload: 'SPIFFE://a.test/job' })],
    ['a time in UTC', true, expiring('2030-01-31T00:00:00Z')],
    ['a time with a zone and a fraction', true, expiring('2030-01-31T23:59:59.123+05:30')],
    ['an observation of all policies', true, observing({})],
    ['an observation of one workload', true, observing({ scope: { operation: 'op', workload: 'w' } })],
    ['an observation of some policies', true, observing({ policies: ['p', 'q'] })],
    ['an observation of a tier', true, observing({ tier: 'function', scope: { all: true } })],
    ['an observation of policies of a tier', true, observing({ tier: 'platform', policies: ['p'] })],
    ['an observation of lineage', true, observing(lineage)],
    ['an observation of lineage at a workload', true, observing({ ...lineage, scope: { workload: 'w' } })],
    ['no observation at all', true, { policies: {}, observe: [] }],
    ['observations of nothing', false, { policies: {}, observe: null }],
    ['an observation of something else', false, observing({ what: 'identity' })],
    ['an observation of no policy', false, observing({ policies: [] })],
    ['an observation of a policy twice', false, observing({ policies: ['p', 'p'] })],
    ['an observation of an unknown tier', false, observing({ tier: 'lineage' })],
    ['an observation without its scope', false, observing({ scope: {} })],
    ['an observation of not all', false, observing({ scope: { all: false } })],
    ['an observation of all and one', false, observing({ scope: { all: true, operation: 'op' } })],
    ['an observation of a workload alone', false, observing({ scope: { workload: 'w' } })],
    ['an observation of a local time', false, observing({ expires: '2030-01-31T00:00:00' })],
    ['an observation with an unknown key', false, observing({ until: 'x' })],
    ['an observation of the lineage of an operation', false, observing({ ...lineage, scope: 'op' })],
    [
      'an observation of lineage and an operation',
      false,
      observing({ ...lineage, scope: { operation: 'op' } }),
    ],
    ['an observation of lineage by a tier', false, observing({ ...lineage, tier: 'platform' })],
    ['an observation of lineage by policies', false, observing({ ...lineage, policies: ['p'] })],
    ...['what', 'scope', 'reason', 'approver', 'expires'].map((key): [string, boolean, unknown] => [
      `an observation without ${key}`,
      false,
      observing({ [key]: undefined }),
    ]),
    ['nothing', false, null],
    ['a list', false, []],
    ['no policies', false, {}],
    ['policies of nothing', false, { policies: null }],
    ['an unknown key', false, { policies: {}, $schema: 'x' }],
    ['an unknown tier', false, { policies: { function: ['a'] } }],
    ['a tier of nothing', false, { policies: { enterprise: null } }],
    ['a policy twice', false, { policies: { enterprise: ['a', 'a'] } }],
    ['an empty name', false, { policies: { enterprise: [''] } }],
    ['deviations of nothing', false, { policies: {}, deviations: null }],
    ['a deviation of an unknown tier', false, deviating({ tier: 'function' })],
    ['a deviation with an unknown key', false, deviating({ until: '2030-01-31T00:00:00Z' })],
    ['a scope of everything', false, deviating({ scope: {} })],
    ['a scope with an unknown key', false, deviating({ scope: { operation: 'op', user: 'u' } })],
    ['a scope with no name', false, deviating({ scope: '' })],
    ['a time of nothing', false, expiring(null)],
    ['a time that is a number', false, expiring(1_893_456_000)],
    ['a local time', false, expiring('2030-01-31T00:00:00')],
    ['a date', false, expiring('2030-01-31')],
    ['a month that does not exist', false, expiring('2030-13-01T00:00:00Z')],
    ['hour 24', false, expiring('2030-01-31T24:00:00Z')],
    ['a leap second', false, expiring('2030-06-30T23:59:60Z')],
    ['a zone that does not exist', false, expiring('2030-01-31T00:00:00+24:00')],
    ['a zone without a colon', false, expiring('2030-01-31T00:00:00+0530')],
    ...['policy', 'tier', 'scope', 'reason', 'approver'].map((key): [string, boolean, unknown] => [
      `a deviation without ${key}`,
      false,
      deviating({ [key]: undefined }),
    ]),
  ])('agrees with the parser on %s', (_, accepted, document) => {
    const written: unknown = JSON.parse(JSON.stringify(document))
    expect([described(written), parses(written)]).toEqual([accepted, accepted])
  })

  it.each<[string, unknown]>([
    ['a policy that its tier does not have', deviating({ policy: 'other' })],
    ['a day that the calendar lacks', expiring('2030-02-30T00:00:00Z')],
    ['an observed policy that its tier does not have', observing({ tier: 'platform', policies: ['other'] })],
    ['an observation of more than 90 days', observing({ expires: '2030-04-01T00:00:01Z' })],
    ['a lone surrogate', deviating({ reason: '\ud800' })],
    ['a lone surrogate in a root', rooted({ workload: '\ud800' })],
  ])('leaves to the parser alone to refuse %s', (_, document) => {
    expect([described(document), parses(document)]).toEqual([true, false])
  })

  it('accepts every example of the manual, as the parser does', () => {
    const manual = readFileSync(new URL('../../../../docs/deployment.md', import.meta.url), 'utf8')
    const examples = [...manual.matchAll(/^```yaml\n(.*?)^```/gms)].map(([, text]) => text as string)
    expect(examples).toHaveLength(3)
    for (const text of examples) {
      expect(described(parse(text))).toBe(true)
      parseDeployment(text, 'deployment.md', NOW)
    }
  })

  const name = fc.constantFrom(...Array(8).fill('p'), 'q', 'op', ' ')
  const tier = fc.constantFrom(...DEPLOYMENT_TIERS, 'function')
  const junk = fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    name,
    fc.constantFrom('', ['p', 'p'], {}),
  )
  const mostly = <T>(likely: fc.Arbitrary<T>) => fc.oneof({ weight: 49, arbitrary: likely }, junk)
  const record = (shape: Readonly<Record<string, fc.Arbitrary<unknown>>>, required: readonly string[]) =>
    fc.record(Object.fromEntries(Object.entries(shape).map(([key, value]) => [key, mostly(value)])), {
      requiredKeys: [...required],
    })
  const time = fc
    .tuple(fc.integer({ min: 0, max: 13 }), fc.integer({ min: 0, max: 28 }), fc.integer({ min: 0, max: 25 }))
    .map(([month, day, hour]) => {
      const [m, d, h] = [month, day, hour].map((n) => String(n).padStart(2, '0'))
      return `2030-${m}-${d}T${h}:00:00Z`
    })
  const names = fc.oneof({ weight: 9, arbitrary: fc.subarray(['p', 'q', 'op']) }, fc.array(mostly(name)))
  const document = record(
    {
      policies: record({ enterprise: names, platform: names, application: names, other: names }, []),
      deviations: fc.array(
        mostly(
          record(
            {
              policy: name,
              tier,
              scope: fc.oneof(name, record({ operation: name, workload: name }, ['operation'])),
              reason: name,
              approver: name,
              expires: time,
            },
            ['policy', 'tier', 'scope', 'reason', 'approver'],
          ),
        ),
        { maxLength: 2 },
      ),
    },
    ['policies'],
  )

  /** The one rule of these documents that the schema cannot state. */
  function exemptsFromWhatIsThere(found: unknown): boolean {
    const { policies: tiers, deviations = [] } = found as {
      policies: Record<string, string[]>
      deviations?: { tier: string; policy: string }[]
    }
    return deviations.every((one) => tiers[one.tier]?.includes(one.policy) === true)
  }

  it('agrees with the parser on whatever resembles such a file', () => {
    const seen = { accepted: 0, refused: 0 }
    fc.assert(
      fc.property(document, (found) => {
        const accepted = parses(found)
        seen[accepted ? 'accepted' : 'refused']++
        expect(accepted).toBe(described(found) && exemptsFromWhatIsThere(found))
      }),
      { numRuns: 2_000, seed: 5 },
    )
    // Neither side of the comparison was empty.
    expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(100)
  })
})
