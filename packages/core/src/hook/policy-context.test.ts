import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { afterEach, describe, expect, it, vi } from 'vitest'
import schema from '../../schemas/policy-context.json' with { type: 'json' }
import { createKest } from '../config/kest.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { verifyPassport } from '../passport/verify.js'
import type { PolicyContext, PolicyRequest } from '../policy/engine.js'
import { buildPassport } from '../testing/build-passport.js'
import { FakeClock } from '../testing/fake-clock.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import type { OperationOptions } from './operation-options.js'

const WORKLOAD = 'spiffe://kest.test/orders'
const identity = new MockIdentityProvider(WORKLOAD)
const trust = createKeySource({ [WORKLOAD]: [identity.getPublicJwk()] })
const ajv = new Ajv({ allErrors: true })
const described = ajv.compile(schema)

afterEach(() => vi.unstubAllEnvs())

/** What an engine was asked while real operations began: at a root, below another, and below two from elsewhere. */
async function asked(options: Partial<OperationOptions> = {}): Promise<readonly PolicyRequest[]> {
  const engine = new MockPolicyEngine()
  const { headers, trust } = await buildPassport([
    { by: 'gateway', origin: 'user_input', user: 'alice', addedTaints: ['user_input', 'pii'] },
    { by: 'billing', classification: 'confidential' },
  ])
  const kest = createKest({
    identity: new MockIdentityProvider('orders'),
    engine,
    trust,
    logger: new RecordingLogger(),
  })
  const root = await kest.begin({ operation: 'read', policy: 'p', origin: 'system', ...options })
  await kest.begin({ operation: 'read', policy: ['p', 'q'], ...options }, { state: root.state })
  const state = await kest.extract(headers)
  await kest.begin({ operation: 'read', policy: 'p', ...options }, { state })
  await kest.close()
  return engine.requests
}

function deploy(): void {
  const folder = mkdtempSync(join(tmpdir(), 'kest-context-'))
  const file = join(folder, 'kest.yaml')
  writeFileSync(
    file,
    `policies: { enterprise: [ent], platform: [plat, other], application: [app] }
deviations: [{ policy: plat, tier: platform, scope: read, reason: migration, approver: ann }]
`,
  )
  vi.stubEnv('KEST_CONFIG', file)
  afterEach(() => rmSync(folder, { recursive: true, force: true }))
}

/** Tries every change to a value and to all within it; answers how many objects it tried to change. */
function vandalize(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const target = value as Record<string, unknown>
  const names = Object.keys(target)
  const inside = names.map((name) => vandalize(target[name]))
  const changes = [
    () => Object.assign(target, { extra: 'x' }),
    () => Object.setPrototypeOf(target, { extra: 'x' }),
    ...names.flatMap((name) => [
      () => delete target[name],
      () => Object.assign(target, { [name]: 'x' }),
      () => Object.defineProperty(target, name, { value: 'x' }),
    ]),
    ...(Array.isArray(value) ? [() => value.push('x')] : []),
  ]
  for (const change of changes) expect(change).toThrow(TypeError)
  return inside.reduce((all, one) => all + one, 1)
}

/** Paths of all that could be changed. */
function thawed(value: unknown, path = 'request'): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  const inside = Object.entries(value).flatMap(([key, member]) => thawed(member, `${path}.${key}`))
  return Object.isFrozen(value) ? inside : [path, ...inside]
}

const resource = {
  id: 'order/7',
  attributes: { owner: 'alice', lines: [{ price: 1.5 }, null], __proto__: 1 },
}

describe('what a policy sees', () => {
  it.each<[string, Partial<OperationOptions>, boolean]>([
    ['a bare operation', {}, false],
    ['a resource', { resource }, false],
    ['a user, agent and task', { user: 'bob', agent: 'a', task: 't' }, false],
    ['taints and a classification', { addedTaints: ['z', 'a'], classification: 'secret' }, false],
    ['an override', { trustOverride: 250 }, false],
    ['upper tiers and a deviation', {}, true],
  ])('is what its JSON Schema describes, and frozen to the last member: %s', async (_, options, deployed) => {
    if (deployed) deploy()
    const requests = await asked(options)
    expect(requests).toHaveLength(deployed ? 12 : 3)
    for (const request of requests) {
      described(request.context)
      expect(described.errors ?? []).toEqual([])
      expect(thawed(request)).toEqual([])
    }
  })

  it('K-LINEAGE at a root is exactly this', async () => {
    const [{ context, policies } = {} as PolicyRequest] = await asked({ resource, user: 'bob' })
    expect(policies).toEqual(['p'])
    expect(context).toEqual<PolicyContext>({
      subject: {
        workload: WORKLOAD,
        user: 'bob',
        agent: null,
        task: null,
        trust_score: 100,
        taints: [],
        identity_by: WORKLOAD,
      },
      object: JSON.parse(JSON.stringify(resource)),
      environment: {
        is_root: true,
        source_type: 'system',
        parent_hash: '0',
        policy_names: ['p'],
        policy_tier: 'function',
        active_deviations: [],
        classification: 'system',
      },
      identity: WORKLOAD,
      trust_score: 100,
      lineage: { depth: 0, principals: [], operations: [], classifications: [] },
    })
  })

  it('K-LINEAGE after others is exactly this', async () => {
    const { context } = (await asked()).at(-1) as PolicyRequest
    expect(context).toEqual<PolicyContext>({
      subject: {
        workload: WORKLOAD,
        user: 'alice',
        agent: null,
        task: null,
        trust_score: 40,
        taints: ['pii', 'user_input'],
        identity_by: 'spiffe://kest.test/gateway',
      },
      object: { id: 'read', attributes: {} },
      environment: {
        is_root: false,
        source_type: 'internal',
        parent_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
        policy_names: ['p'],
        policy_tier: 'function',
        active_deviations: [],
        classification: 'system',
      },
      identity: WORKLOAD,
      trust_score: 40,
      lineage: {
        depth: 2,
        principals: ['spiffe://kest.test/gateway', 'spiffe://kest.test/billing'],
        operations: ['step-0', 'step-1'],
        classifications: ['system', 'confidential'],
      },
    })
  })

  it('cannot be written to by an engine: neither the next one, nor entry and passport, are told other things', async () => {
    deploy()
    /** What is the same whenever it happens. */
    const lasting = (value: unknown): string =>
      JSON.stringify(value)
        .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'uuid')
        .replaceAll(/[0-9a-f]{32,64}/g, 'hex')
    const told = async (engine: MockPolicyEngine): Promise<readonly string[]> => {
      const clock = new FakeClock(1_790_000_000_000)
      const kest = createKest({ identity, engine, trust, logger: new RecordingLogger(), clock })
      const options = { policy: ['p', 'q'], resource, user: 'bob', addedTaints: ['z', 'a'] } as const
      const root = await kest.begin({ ...options, operation: 'first', origin: 'system' })
      const { entry, passport } = await kest.begin({ ...options, operation: 'read' }, { state: root.state })
      await kest.close()
      const { entries } = await verifyPassport(passport, { trust })
      return [lasting(entry.entry), lasting(entries.map((one) => one.entry)), lasting(engine.requests)]
    }
    let objects = 0
    const vandal = new MockPolicyEngine((request) => {
      objects += vandalize(request)
      return true
    })
    expect(await told(vandal)).toEqual(await told(new MockPolicyEngine()))
    expect(vandal.requests.map(({ context }) => context.environment.policy_tier)).toEqual([
      'enterprise',
      'platform',
      'application',
      'function',
      'enterprise',
      'platform',
      'application',
      'function',
    ])
    expect(objects).toBeGreaterThan(8 * 12)
  })

  it('is refused by its JSON Schema with a member more or less', async () => {
    const { context } = (await asked({ user: 'bob' })).at(-1) as PolicyRequest
    for (const part of ['subject', 'object', 'environment', 'lineage'] as const) {
      for (const member of Object.keys(context[part])) {
        const { [member]: _, ...rest } = context[part] as unknown as Record<string, unknown>
        expect(described({ ...context, [part]: rest })).toBe(false)
      }
      expect(described({ ...context, [part]: { ...context[part], more: 1 } })).toBe(false)
    }
    expect(described({ ...context, more: 1 })).toBe(false)
  })
})
