import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createKest, type Kest } from '../config/kest.js'
import { canonicalize } from '../entry/canonicalize.js'
import { sha256Hex } from '../entry/hash.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { cacheDecisions } from '../policy/decision-cache.js'
import type { Decision, PolicyContext, PolicyEngine, PolicyRequest } from '../policy/engine.js'
import { createFunctionEngine } from '../policy/function-engine.js'
import { MemoryPseudonymKeys } from '../pseudonyms/memory-pseudonym-keys.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import type { OperationOptions } from './operation-options.js'

const identity = new MockIdentityProvider('orders')
const root = { operation: 'read', policy: 'p', origin: 'user_input' } as const
const A = `test:sha256:${'a'.repeat(64)}`
const B = 'test:name:b'

function create(engine: PolicyEngine, more: object = {}): Kest {
  return createKest({ identity, engine, logger: new RecordingLogger(), ...more })
}

async function labelsOf(kest: Kest, options: Partial<OperationOptions> = {}) {
  const operation = await kest.begin({ ...root, ...options } as OperationOptions)
  return operation.entry.entry.labels
}

function revisions(labels: Readonly<Record<string, string>>): unknown {
  const text = labels['kest.revisions']
  if (text === undefined) return undefined
  expect(canonicalize(JSON.parse(text))).toBe(text)
  return JSON.parse(text)
}

/** Tiers, and what else a deployment says. */
function deploy(more = ''): void {
  const folder = mkdtempSync(join(tmpdir(), 'kest-labels-'))
  const file = join(folder, 'kest.yaml')
  writeFileSync(file, `policies: { enterprise: [ent], platform: [plat], application: [app] }\n${more}`)
  vi.stubEnv('KEST_CONFIG', file)
  onTestFinished(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true, force: true })
  })
}

/** As asked, without what differs from tier to tier. */
function digestOf({ environment, ...context }: PolicyContext): string {
  const { policy_names: _, policy_tier: __, ...rest } = environment
  return sha256Hex(canonicalize({ ...context, environment: rest }))
}

describe('which text decided', () => {
  it('K-REVISION is in the entry, of an engine that says it once, with each decision, or later', async () => {
    const once: PolicyEngine = { evaluate: () => true, revision: () => A }
    const each: PolicyEngine = { evaluate: () => ({ allow: true, revision: B }) }
    const later: PolicyEngine = {
      evaluate: async () => ({ allow: true, revision: [B, A] }),
      revision: () => 'x',
    }
    expect(revisions(await labelsOf(create(once)))).toEqual({ function: [A] })
    expect(revisions(await labelsOf(create(each)))).toEqual({ function: [B] })
    expect(revisions(await labelsOf(create(later)))).toEqual({ function: [B, A].sort() })
  })

  it('K-REVISION is left out where an engine cannot say, tier by tier', async () => {
    deploy()
    const answer = ({ context }: PolicyRequest): Decision => {
      const { policy_tier: tier } = context.environment
      return tier === 'platform' ? { allow: true } : { allow: true, revision: tier === 'function' ? B : A }
    }
    for (const engine of [
      new MockPolicyEngine(answer),
      new MockPolicyEngine(async (request) => answer(request)),
      { evaluate: answer, evaluateAll: (all: readonly PolicyRequest[]) => all.map(answer) },
      { evaluate: answer, evaluateAll: async (all: readonly PolicyRequest[]) => all.map(answer) },
    ]) {
      expect(revisions(await labelsOf(create(engine)))).toEqual({
        application: [A],
        enterprise: [A],
        function: [B],
      })
    }
    expect(revisions(await labelsOf(create(new MockPolicyEngine())))).toBeUndefined()
    expect(
      revisions(await labelsOf(create({ evaluate: () => true, revision: () => 'none' }))),
    ).toBeUndefined()
  })

  it('K-REVISION is that which decided, and not one that is there when the last answer has come', async () => {
    deploy()
    let now = A
    const engine: PolicyEngine = {
      evaluate: ({ context }) => {
        // What answers later was asked before the change; what answers at once, after it.
        if (context.environment.policy_tier !== 'enterprise') return true
        return Promise.resolve().then(() => {
          now = B
          return { allow: true, revision: A }
        })
      },
      revision: () => now,
    }
    expect(revisions(await labelsOf(create(engine)))).toEqual({
      application: [B],
      enterprise: [A],
      function: [B],
      platform: [B],
    })
    let text = A
    const atOnce: PolicyEngine = {
      evaluate: () => true,
      evaluateAll: (all) => {
        queueMicrotask(() => {
          text = B
        })
        return all.map((_, index) => (index === 0 ? Promise.resolve({ allow: true, revision: A }) : true))
      },
      revision: () => text,
    }
    expect(revisions(await labelsOf(create(atOnce)))).toEqual({
      application: [A],
      enterprise: [A],
      function: [A],
      platform: [A],
    })
  })

  it('K-REVISION an engine that fails to say denies, as one that fails', async () => {
    deploy()
    const revision = (): string => {
      throw new Error('gone')
    }
    for (const engine of [
      { evaluate: () => true, revision },
      { evaluate: () => true, evaluateAll: (all: readonly unknown[]) => all.map(() => true), revision },
      cacheDecisions({ evaluate: () => true, revision }, { ignore: [] }),
    ] satisfies PolicyEngine[])
      await expect(labelsOf(create(engine))).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
  })

  it('K-REVISION of what is only observed is there as well, whichever way it was decided', async () => {
    const expires = new Date(Date.now() + 86_400_000).toISOString()
    deploy(
      `observe: [{ what: policy, policies: [plat, own], scope: { all: true }, reason: r, approver: a, expires: "${expires}" }]\n`,
    )
    const answer = ({ policies }: PolicyRequest): Decision =>
      policies.includes('plat') ? { allow: false, revision: B } : { allow: true, revision: A }
    for (const engine of [
      new MockPolicyEngine(answer),
      new MockPolicyEngine(async (request) => answer(request)),
      { evaluate: answer, evaluateAll: (all: readonly PolicyRequest[]) => all.map(answer) },
    ]) {
      const labels = await labelsOf(create(engine), { policy: ['p', 'own'] })
      expect(revisions(labels)).toEqual({
        application: [A],
        enterprise: [A],
        function: [A],
        platform: [B],
      })
      expect(JSON.parse(labels['kest.observed'] as string)).toHaveLength(1)
    }
    // What has not decided has no text.
    const failing = new MockPolicyEngine((request) => {
      if (request.policies.includes('plat')) throw new Error('down')
      return { allow: true, revision: A }
    })
    expect(revisions(await labelsOf(create(failing)))).toEqual({
      application: [A],
      enterprise: [A],
      function: [A],
    })
  })

  it('K-REVISION is kept with a cached decision: what decided then, whatever is there now', async () => {
    let now = A
    const engine: PolicyEngine = { evaluate: () => true, revision: () => now }
    const kest = create(cacheDecisions(engine, { ignore: ['environment.parent_hash'] }))
    expect(revisions(await labelsOf(kest))).toEqual({ function: [A] })
    now = B
    expect(revisions(await labelsOf(kest))).toEqual({ function: [A] })
    expect(revisions(await labelsOf(kest, { policy: 'other' }))).toEqual({ function: [B] })
    const later = new MockPolicyEngine(async () => ({ allow: true, reason: 'so', revision: [B] }))
    const cached = create(cacheDecisions(later, { ignore: ['environment.parent_hash'] }))
    for (let n = 0; n < 2; n++) expect(revisions(await labelsOf(cached))).toEqual({ function: [B] })
    expect(later.requests).toHaveLength(1)
  })

  it('K-REVISION of functions is a name that is given to them', async () => {
    const policies = { p: () => true, q: async () => ({ allow: true, reason: 'so' }) }
    const named = createFunctionEngine(policies, { revision: 'v1' })
    for (const policy of ['p', ['p', 'q']] as const)
      expect(revisions(await labelsOf(create(named), { policy }))).toEqual({ function: ['function:name:v1'] })
    expect(revisions(await labelsOf(create(createFunctionEngine(policies))))).toBeUndefined()
    expect(() => createFunctionEngine(policies, { revision: 'a\n' })).toThrow(/revision/)
  })
})

describe('what was asked', () => {
  it('K-CONTEXT is in the entry by its digest, one for all tiers, and so is its source', async () => {
    deploy()
    const engine = new MockPolicyEngine()
    const kest = create(engine)
    const first = await kest.begin({
      ...root,
      user: 'alice',
      resource: { id: 'order-1', attributes: { owner: 'bob', '10': [1.5, null] } },
      addedTaints: ['pii'],
    })
    await kest.begin({ operation: 'next', policy: 'p', resource: { id: 'r' } }, { state: first.state })
    expect(engine.requests).toHaveLength(8)
    const digests = engine.requests.map(({ context }) => digestOf(context))
    expect(new Set(digests.slice(0, 4)).size).toBe(1)
    const { labels } = first.entry.entry
    expect([labels['kest.context'], labels['kest.source']]).toEqual([digests[0], 'user_input'])
    const second = await kest.begin({ operation: 'next', policy: 'p', origin: 'llm' }, { state: first.state })
    expect(second.entry.entry.labels).toMatchObject({
      'kest.context': digestOf(engine.requests.at(-1)?.context as PolicyContext),
      'kest.source': 'llm',
    })
    expect(
      (await kest.begin({ operation: 'n', policy: 'p' }, { state: first.state })).entry.entry.labels,
    ).toMatchObject({ 'kest.source': 'internal' })
  })

  it('K-CONTEXT is what the engine was shown, where something is withheld from it', async () => {
    const engine = new MockPolicyEngine()
    const kest = create(cacheDecisions(engine, { ignore: ['environment.parent_hash', 'subject.user'] }))
    const labels = await labelsOf(kest, { user: 'alice' })
    expect(labels['kest.context']).toBe(digestOf(engine.requests[0]?.context as PolicyContext))
  })

  it('K-CONTEXT is left out where tiers were shown different parts', async () => {
    deploy()
    const own = new MockPolicyEngine()
    const cached = cacheDecisions(new MockPolicyEngine(), { ignore: ['environment.parent_hash'] })
    const labels = await labelsOf(create(cached), { engine: own })
    expect(labels).not.toHaveProperty('kest.context')
    expect(labels['kest.source']).toBe('user_input')
    expect(await labelsOf(create(new MockPolicyEngine()), { engine: own })).toHaveProperty('kest.context')
  })

  it('K-CONTEXT is left out where pseudonyms are on, and so is its source', async () => {
    const keys = new MemoryPseudonymKeys()
    const engine: PolicyEngine = { evaluate: () => true, revision: () => A }
    const labels = await labelsOf(create(engine, { subject: { pseudonyms: keys } }), { user: 'alice' })
    expect(labels).not.toHaveProperty('kest.context')
    expect(labels).not.toHaveProperty('kest.source')
    expect(revisions(labels)).toEqual({ function: [A] })
  })
})
