import { describe, expect, it } from 'vitest'
import { KestConfigError } from '../errors.js'
import { parseDeployment } from './deployment.js'
import { PolicyPlanner } from './tiers.js'

const FILE = '/etc/kest.yaml'
const json = JSON.stringify

const deviation = {
  policy: 'plat/trust',
  tier: 'platform',
  scope: { operation: 'payments.refund', workload: 'spiffe://a.test/pay' },
  reason: 'old orders',
  approver: 'sec@a.test',
  expires: '2030-01-31T00:00:00Z',
}
const NOW = Date.parse('2030-01-01T00:00:00Z')
const observation = {
  what: 'policy',
  scope: { all: true },
  reason: 'r',
  approver: 'a',
  expires: '2030-01-31T00:00:00Z',
}
const policies = { enterprise: ['ent/a', 'ent/b'], platform: ['plat/trust'], application: ['app/x'] }

describe('the deployment file', () => {
  it('F-PE-07 F-PE-08 F-PE-09 reads the upper tiers and deviations from YAML', () => {
    const text = `policies:
  enterprise: [ent/a, ent/b]
  platform: [plat/trust]
deviations:
  - policy: plat/trust
    tier: platform
    scope: payments.refund
    reason: old orders
    approver: sec@a.test
`
    expect(parseDeployment(text, FILE)).toEqual({
      policies: { enterprise: ['ent/a', 'ent/b'], platform: ['plat/trust'], application: [] },
      deviations: [
        {
          policy: 'plat/trust',
          tier: 'platform',
          scope: { operation: 'payments.refund' },
          reason: 'old orders',
          approver: 'sec@a.test',
        },
      ],
    })
  })

  it('reads the same from JSON', () => {
    const { deviations } = parseDeployment(json({ policies, deviations: [deviation] }), FILE)
    expect(deviations).toMatchObject([{ scope: deviation.scope, expiresAt: Date.parse(deviation.expires) }])
  })

  it('K-OBSERVE reads what is observed, each with a reason, an approver and an end', () => {
    const text = `policies:
  platform: [plat/trust]
observe:
  - what: policy
    policies: [plat/trust]
    tier: platform
    scope: { operation: payments.refund, workload: spiffe://a.test/pay }
    reason: callers without lineage
    approver: sec@a.test
    expires: 2030-01-31T00:00:00Z
  - { what: policy, scope: { all: true }, reason: r, approver: a, expires: 2030-01-31T00:00:00Z }
  - { what: policy, scope: GET /x, reason: r, approver: a, expires: 2030-01-31T00:00:00Z }
  - { what: lineage, scope: { workload: spiffe://a.test/pay }, reason: r, approver: a, expires: 2029-01-31T00:00:00Z }
`
    const { observe } = parseDeployment(text, FILE, NOW)
    const said = { reason: 'r', approver: 'a', expiresAt: Date.parse('2030-01-31T00:00:00Z') }
    expect(observe).toEqual([
      {
        ...said,
        what: 'policy',
        policies: ['plat/trust'],
        tier: 'platform',
        scope: { operation: 'payments.refund', workload: 'spiffe://a.test/pay' },
        reason: 'callers without lineage',
        approver: 'sec@a.test',
      },
      { ...said, what: 'policy', scope: { all: true } },
      { ...said, what: 'policy', scope: { operation: 'GET /x' } },
      {
        ...said,
        what: 'lineage',
        scope: { workload: 'spiffe://a.test/pay' },
        expiresAt: Date.parse('2029-01-31T00:00:00Z'),
      },
    ])
    expect(Object.isFrozen(observe)).toBe(true)
    expect(observe?.every(Object.isFrozen)).toBe(true)
  })

  it('K-OBSERVE takes an end that is 90 days ahead of the reading, and none beyond', () => {
    const item = { what: 'lineage', scope: { all: true }, reason: 'r', approver: 'a' }
    const read = (expires: number) => {
      const observe = [{ ...item, expires: new Date(expires).toISOString() }]
      return parseDeployment(json({ policies, observe }), FILE, NOW)
    }
    const last = NOW + 90 * 86_400_000
    expect(read(last).observe).toHaveLength(1)
    expect(() => read(last + 1)).toThrow(/observe\[0\]\.expires: expected a time at most 90 days ahead/)
  })

  it.each<[string, unknown, RegExp]>([
    ['an unknown key', { policies, policy: {} }, /unknown key "policy"/],
    ['a document without policies', { deviations: [] }, /policies: expected an object/],
    ['a tier of nothing', { policies: { enterprise: null } }, /policies\.enterprise: expected a list/],
    ['an unknown tier', { policies: { department: [] } }, /policies: unknown key "department"/],
    ['a list that is none', { policies: { enterprise: 'a' } }, /policies\.enterprise: expected a list/],
    ['a policy that is no string', { policies: { enterprise: [1] } }, /policies\.enterprise\[0\]/],
    ['a policy listed twice', { policies: { enterprise: ['a', 'a'] } }, /listed twice/],
    [
      'a deviation from a policy that is not there',
      { policies: {}, deviations: [deviation] },
      /deviations\[0\]\.policy/,
    ],
    [
      'a deviation of the function tier',
      { policies, deviations: [{ ...deviation, tier: 'function' }] },
      /\.tier/,
    ],
    ['a deviation without a reason', { policies, deviations: [{ ...deviation, reason: '' }] }, /\.reason/],
    [
      'a deviation without an approver',
      { policies, deviations: [{ ...deviation, approver: undefined }] },
      /\.approver/,
    ],
    ['a scope of everything', { policies, deviations: [{ ...deviation, scope: {} }] }, /\.scope\.operation/],
    [
      'a time without a zone',
      { policies, deviations: [{ ...deviation, expires: '2030-01-31T00:00:00' }] },
      /\.expires/,
    ],
    [
      'a day that the calendar lacks',
      { policies, deviations: [{ ...deviation, expires: '2030-02-30T00:00:00Z' }] },
      /\.expires: there is no 2030-02-30/,
    ],
    [
      'a deviation of nothing',
      { policies, deviations: [{ ...deviation, expires: null }] },
      /deviations\[0\]\.expires: expected a non-empty string/,
    ],
    [
      'what cannot be signed',
      { policies, deviations: [{ ...deviation, reason: '\ud800' }] },
      /\.reason: .*surrogate/,
    ],
    [
      'an observation of a policy that its tier does not have',
      { policies, observe: [{ ...observation, tier: 'platform', policies: ['plat/trst'] }] },
      /observe\[0\]\.policies: "plat\/trst" is not a policy of tier platform/,
    ],
    [
      'an observation of lineage by policies',
      { policies, observe: [{ ...observation, what: 'lineage', policies: ['a'] }] },
      /observe\[0\]: unknown key "policies"/,
    ],
    [
      'an observation that nobody approved',
      { policies, observe: [{ ...observation, approver: undefined }] },
      /observe\[0\]\.approver/,
    ],
    [
      'an observation without an end',
      { policies, observe: [{ ...observation, expires: undefined }] },
      /observe\[0\]\.expires/,
    ],
    [
      'an observation of everything by mistake',
      { policies, observe: [{ ...observation, scope: {} }] },
      /observe\[0\]\.scope\.operation/,
    ],
    ['a document that is a list', [], /document: expected an object/],
    ['an empty document', null, /document: expected an object/],
  ])('refuses %s, naming file and path', (_, document, message) => {
    const parse = () => parseDeployment(json(document), FILE, NOW)
    expect(parse).toThrow(KestConfigError)
    expect(parse).toThrow(/^\/etc\/kest\.yaml: /)
    expect(parse).toThrow(message)
  })

  it.each([
    ['not YAML', 'policies: ['],
    ['a key said twice', 'policies: {}\npolicies: {}\n'],
    ['a tag that YAML does not know', 'policies: { enterprise: !vault [a] }\n'],
    ['an alias', 'policies: { enterprise: &all [a], platform: *all }\n'],
    ['two documents', 'policies: {}\n---\npolicies: {}\n'],
    ['members with an order, which read as none', 'policies: !!omap\n- enterprise: [a]\n'],
    ['a set', 'policies: { enterprise: !!set {a} }\n'],
    ['a tag that changes nothing', 'policies: !!map { enterprise: [a] }\n'],
    ['another YAML', '%YAML 1.1\n---\npolicies: {}\n'],
  ])('refuses %s, naming the file and the reason', (_, text) => {
    expect(() => parseDeployment(text, FILE)).toThrow(KestConfigError)
    expect(() => parseDeployment(text, FILE)).toThrow(/^\/etc\/kest\.yaml: not YAML or JSON: .{10}/)
  })

  it.each(['', '\n', '# all of it was cut off\n', 'policies:\n'])(
    'refuses %j: a file cut short does not mean that there are no policies',
    (text) => {
      expect(() => parseDeployment(text, FILE)).toThrow(/expected an object/)
    },
  )
})

describe('tiers', () => {
  const now = Date.parse('2029-01-01T00:00:00Z')
  const deployment = parseDeployment(json({ policies, deviations: [deviation] }), FILE)
  const plan = (operation: string, workload: string, at = now) =>
    new PolicyPlanner(deployment, operation, ['fn/y']).plan(workload, at)
  const asked = (...args: Parameters<typeof plan>) =>
    plan(...args).tiers.map(({ tier, policies }) => [tier, ...policies])

  it('F-PE-10 asks enterprise, platform, application and function, in this order', () => {
    expect(asked('payments.charge', 'spiffe://a.test/pay')).toEqual([
      ['enterprise', 'ent/a', 'ent/b'],
      ['platform', 'plat/trust'],
      ['application', 'app/x'],
      ['function', 'fn/y'],
    ])
  })

  it('F-PE-11 F-PE-12 exempts what a deviation names, and records that it did', () => {
    const { tiers, deviations, record } = plan('payments.refund', 'spiffe://a.test/pay')
    expect(tiers.map(({ tier }) => tier)).toEqual(['enterprise', 'application', 'function'])
    const { policy, tier, reason, approver } = deviation
    expect(deviations).toEqual([{ policy, tier, reason, approver }])
    expect(record).toEqual({
      enterprise_policies: ['ent/a', 'ent/b'],
      platform_policies: [],
      app_policies: ['app/x'],
      function_policies: ['fn/y'],
      deviations: [{ policy, tier, reason, approver }],
    })
  })

  it('exempts no other operation and no other workload', () => {
    expect(asked('payments.charge', 'spiffe://a.test/pay')).toContainEqual(['platform', 'plat/trust'])
    expect(asked('payments.refund', 'spiffe://a.test/other')).toContainEqual(['platform', 'plat/trust'])
  })

  it('exempts no longer than until the deviation expires', () => {
    const planner = new PolicyPlanner(deployment, 'payments.refund', ['fn/y'])
    const expires = Date.parse(deviation.expires)
    expect(planner.plan('spiffe://a.test/pay', expires - 1).deviations).toHaveLength(1)
    expect(planner.plan('spiffe://a.test/pay', expires).deviations).toHaveLength(0)
  })
})
