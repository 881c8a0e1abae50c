import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { KestConfigError } from '../errors.js'
import { loadDeployment, parseDeployment } from './deployment.js'
import { PolicyPlanner } from './tiers.js'

const folder = mkdtempSync(join(tmpdir(), 'kest-deployment-'))
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const deviation = {
  policy: 'plat/trust',
  tier: 'platform',
  scope: { operation: 'payments.refund', workload: 'spiffe://a.test/pay' },
  reason: 'old orders',
  approver: 'sec@a.test',
  expires: '2030-01-31T00:00:00Z',
}
const policies = { enterprise: ['ent/a', 'ent/b'], platform: ['plat/trust'], application: ['app/x'] }

describe('the deployment file', () => {
  it('F-PE-07 F-PE-08 F-PE-09 reads the upper tiers and deviations from YAML', () => {
    const path = file(
      'kest.yaml',
      `policies:
  enterprise: [ent/a, ent/b]
  platform: [plat/trust]
deviations:
  - policy: plat/trust
    tier: platform
    scope: payments.refund
    reason: old orders
    approver: sec@a.test
`,
    )
    expect(loadDeployment(path)).toEqual({
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
    const path = file('kest.json', JSON.stringify({ policies, deviations: [deviation] }))
    const { deviations } = loadDeployment(path)
    expect(deviations).toMatchObject([{ scope: deviation.scope, expiresAt: Date.parse(deviation.expires) }])
  })

  it.each<[string, unknown, RegExp]>([
    ['an unknown key', { policy: {} }, /unknown key "policy"/],
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
    ['a document that is a list', [], /document: expected an object/],
  ])('refuses %s, naming file and path', (_, document, message) => {
    const parse = () => parseDeployment(document, '/etc/kest.yaml')
    expect(parse).toThrow(KestConfigError)
    expect(parse).toThrow(/^\/etc\/kest\.yaml: /)
    expect(parse).toThrow(message)
  })

  it('refuses a file that is not there, not YAML, or says a key twice', () => {
    for (const path of [
      join(folder, 'absent.yaml'),
      file('broken.yaml', 'policies: ['),
      file('twice.yaml', 'policies: {}\npolicies: {}\n'),
    ]) {
      expect(() => loadDeployment(path)).toThrow(KestConfigError)
    }
  })
})

describe('tiers', () => {
  const now = Date.parse('2029-01-01T00:00:00Z')
  const deployment = parseDeployment({ policies, deviations: [deviation] }, 'test')
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
