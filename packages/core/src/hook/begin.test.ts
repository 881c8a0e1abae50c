import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { trace } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createKest, type Kest } from '../config/kest.js'
import type { KestOptions } from '../config/options.js'
import { getCurrentAgent, getCurrentTask, getCurrentUser } from '../context/accessors.js'
import type { KestEntry } from '../entry/entry.js'
import { parseEntry } from '../entry/parse.js'
import type { KeySource } from '../identity/key-source.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { IdentityProvider, Signer } from '../identity/provider.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { verifyPassport } from '../passport/verify.js'
import type { Decision, PolicyContext, PolicyEngine, PolicyRequest } from '../policy/engine.js'
import { createFunctionEngine } from '../policy/function-engine.js'
import { FakeClock } from '../testing/fake-clock.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { VERSION } from '../version.js'
import type { Operation } from './operation.js'

const identity = new MockIdentityProvider('spiffe://hook.test/service')
const trust = createKeySource({ 'spiffe://hook.test/service': [identity.getPublicJwk()] })
const root = { operation: 'root', policy: 'test/allow', origin: 'system' } as const
const child = { operation: 'child', policy: 'test/allow' } as const

function setUp(options: KestOptions = {}): { kest: Kest; engine: MockPolicyEngine; logger: RecordingLogger } {
  const engine = new MockPolicyEngine()
  const logger = new RecordingLogger()
  return { kest: createKest({ identity, engine, logger, trust, ...options }), engine, logger }
}

/** An identity whose key is watched. */
function watched(): { identity: IdentityProvider; used: () => number } {
  const sign = vi.fn<Signer['sign']>((input) => identity.current().sign(input))
  const signer: Signer = {
    ...identity.current(),
    workloadId: identity.getWorkloadId(),
    header: identity.current().header,
    local: true,
    sign,
  }
  return {
    identity: { getWorkloadId: () => identity.getWorkloadId(), current: () => signer },
    used: () => sign.mock.calls.length,
  }
}

/** A deployment file, for this test. */
function deploy(text: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'kest-deployment-'))
  onTestFinished(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true })
  })
  writeFileSync(join(folder, 'kest.yaml'), text)
  vi.stubEnv('KEST_CONFIG', join(folder, 'kest.yaml'))
}

function entryOf(operation: Operation): KestEntry {
  return parseEntry(operation.entry.jws, { limits: DEFAULT_LIMITS }).entry
}

describe('begin: the lifecycle', () => {
  it('TC-01 F-AE-01 a single root verifies', async () => {
    const { kest } = setUp()
    const operation = await kest.begin(root)
    const verified = await verifyPassport(operation.passport, { trust })
    expect(verified.entries).toHaveLength(1)
    expect(verified.principals).toEqual(['spiffe://hook.test/service'])
  })

  it('F-AE-04 F-AE-05 F-AE-06 F-AE-07 F-AE-08 F-AE-09 F-AE-11 F-AE-12 F-AE-13 writes every field of an entry', async () => {
    const clock = new FakeClock(1_790_000_000_000)
    const { kest } = setUp({ clock })
    const first = await kest.begin(root)
    const second = await kest.begin(
      {
        ...child,
        classification: 'secret',
        user: 'alice',
        agent: 'bot',
        addedTaints: ['pii'],
        resource: { id: 'order/1', attributes: { region: 'eu' } },
        labels: { team: 'payments' },
        environment: { zone: 'a' },
        metadata: { n: [1, null] },
        inputHash: 'a'.repeat(64),
      },
      { state: first.enter() },
    )
    const entry = entryOf(second)
    expect(entry).toMatchObject({
      schema_version: '0.3.0',
      runtime: { name: 'kest-typescript', version: VERSION },
      operation: 'child',
      classification: 'secret',
      trust_score: 100,
      parent_ids: [first.entry.hash],
      added_taints: ['pii'],
      removed_taints: [],
      taints: ['pii'],
      policy_context: {
        enterprise_policies: [],
        platform_policies: [],
        app_policies: [],
        function_policies: ['test/allow'],
        deviations: [],
      },
      environment: { zone: 'a' },
      otel_context: {},
      metadata: { n: [1, null] },
      content_hash: '',
      input_hash: 'a'.repeat(64),
      timestamp_ms: 1_790_000_000_000,
    })
    expect(entry.entry_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(entry.labels).toEqual({
      principal: 'spiffe://hook.test/service',
      trace_id: first.entry.entry.labels['trace_id'],
      team: 'payments',
      'kest.identity': '{"agent":"bot","task":null,"user":"alice"}',
      'kest.identity_stated': 'true',
      'kest.resource_attr': '{"attributes":{"region":"eu"},"id":"order/1"}',
      'kest.seq': expect.stringMatching(/^[0-9a-f-]{36}:2$/),
      'kest.context': expect.stringMatching(/^[0-9a-f]{64}$/),
      'kest.source': 'internal',
    })
    expect(entryOf(first).parent_ids).toEqual(['0'])
  })

  it('F-PE-01 decides by the engine that is configured, and the operation runs after it', async () => {
    const { kest, engine } = setUp()
    const order: string[] = []
    vi.spyOn(engine, 'evaluate').mockImplementation(() => {
      order.push('decide')
      return true
    })
    await (await kest.begin(root)).run(() => order.push('run'))
    expect(order).toEqual(['decide', 'run'])
  })

  it('K-ORDER TC-07 F-PE-02 a denial: the operation never runs, and its entry is never signed', async () => {
    const key = watched()
    const { kest, logger } = setUp({ identity: key.identity, engine: new MockPolicyEngine(false) })
    const run = vi.fn()
    await expect(kest.verified(root, run)()).rejects.toMatchObject({
      code: 'ERR_KEST_DENIED',
      statusCode: 403,
    })
    expect(run).not.toHaveBeenCalled()
    expect(key.used()).toBe(0)
    expect(logger.records).toHaveLength(1)
  })

  it('NF-OBS-01 logs a denial with entry id, policies and workload', async () => {
    const { kest, logger } = setUp({
      engine: new MockPolicyEngine(() => ({ allow: false, reason: 'too risky' })),
    })
    await expect(kest.begin(root)).rejects.toThrow()
    expect(logger.records[0]).toMatchObject({
      level: 'warn',
      details: {
        code: 'ERR_KEST_DENIED',
        entry_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        policies: ['test/allow'],
        workload_id: 'spiffe://hook.test/service',
        operation: 'root',
        reason: 'too risky',
      },
    })
  })

  it('TC-08 F-PE-03 allow and deny is deny', async () => {
    const { kest } = setUp({ engine: new MockPolicyEngine({ yes: true, no: false }) })
    await expect(kest.begin({ ...root, policy: ['yes', 'no'] })).rejects.toMatchObject({
      code: 'ERR_KEST_DENIED',
    })
    await expect(kest.begin({ ...root, policy: ['yes'] })).resolves.toBeDefined()
  })

  it.each<[string, PolicyEngine['evaluate'], string]>([
    [
      'throws',
      () => {
        throw new Error('down')
      },
      'ERR_KEST_ENGINE',
    ],
    ['hangs', () => new Promise(() => {}), 'ERR_KEST_ENGINE_TIMEOUT'],
    ['answers nonsense', () => 'yes' as never, 'ERR_KEST_ENGINE_ANSWER'],
  ])('NF-SEC-03 an engine that %s denies, without a signature', async (_, evaluate, code) => {
    const key = watched()
    const { kest } = setUp({ identity: key.identity, engine: { evaluate }, policyTimeoutMs: 20 })
    const run = vi.fn()
    await expect(kest.verified(root, run)()).rejects.toMatchObject({ code, statusCode: 503 })
    expect(run).not.toHaveBeenCalled()
    expect(key.used()).toBe(0)
  })

  it.each<[string, () => Signer | Promise<Signer>]>([
    [
      'throws',
      () => {
        throw new Error('no SVID')
      },
    ],
    ['rejects', () => Promise.reject(new Error('expired'))],
    ['answers nothing', () => undefined as never],
    ['has no name', () => ({ ...identity.current(), workloadId: '' })],
  ])('NF-SEC-02 NF-SEC-04 an identity that %s is an error, never an unsigned entry', async (_, current) => {
    const { kest, engine } = setUp({ identity: { getWorkloadId: () => 'x', current } })
    await expect(kest.begin(root)).rejects.toMatchObject({ code: 'ERR_KEST_IDENTITY', statusCode: 503 })
    expect(engine.requests).toHaveLength(0)
  })

  it('NF-SEC-02 a signer that fails, or answers no signature, stops the operation', async () => {
    for (const sign of [
      () => {
        throw new Error('HSM')
      },
      async () => new Uint8Array(3),
      () => Promise.reject(new Error('KMS')),
    ]) {
      const signer = { workloadId: 'w', header: identity.current().header, local: false, sign }
      const { kest } = setUp({ identity: { getWorkloadId: () => 'w', current: () => signer } })
      const run = vi.fn()
      await expect(kest.verified(root, run)()).rejects.toMatchObject({ code: 'ERR_KEST_IDENTITY' })
      expect(run).not.toHaveBeenCalled()
    }
  })

  it('K-SIGNER takes one snapshot per entry: a rotation meanwhile changes nothing of it', async () => {
    const next = new MockIdentityProvider('spiffe://hook.test/next')
    let current: IdentityProvider = identity
    const { kest } = setUp({
      identity: { getWorkloadId: () => current.getWorkloadId(), current: () => current.current() },
      engine: new MockPolicyEngine(async () => {
        current = next
        return true
      }),
    })
    const operation = await kest.begin(root)
    expect(operation.entry.principal).toBe('spiffe://hook.test/service')
    await expect(verifyPassport(operation.passport, { trust })).resolves.toBeDefined()
  })

  it('F-GC-04 without identity or engine nothing begins', async () => {
    await expect(createKest({ engine: new MockPolicyEngine() }).begin(root)).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
    })
    await expect(createKest({ identity }).begin(root)).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })

  it('F-GC-03 K-ENGINE a call’s own identity and engine win', async () => {
    const { kest, engine } = setUp()
    const other = new MockIdentityProvider('spiffe://hook.test/other')
    const own = new MockPolicyEngine()
    const operation = await kest.begin({ ...root, identity: other, engine: own })
    expect(operation.entry.principal).toBe('spiffe://hook.test/other')
    expect([engine.requests.length, own.requests.length]).toEqual([0, 1])
  })

  it('K-ROOT refuses to begin without lineage unless an origin is stated', async () => {
    const { kest } = setUp()
    await expect(kest.begin(child)).rejects.toMatchObject({
      code: 'ERR_KEST_LINEAGE_MISSING',
      statusCode: 403,
    })
    await expect(kest.begin({ ...child, origin: 'internal' })).resolves.toBeDefined()
  })

  it('K-LIMIT begins nothing on top of a full passport', async () => {
    const { kest } = setUp({ limits: { entries: 2 } })
    const first = await kest.begin(root)
    const second = await kest.begin(child, { state: first.enter() })
    await expect(kest.begin(child, { state: second.enter() })).rejects.toMatchObject({
      code: 'ERR_KEST_LIMIT',
    })
  })

  it('does not run an operation whose caller left while it was decided', async () => {
    const caller = new AbortController()
    const key = watched()
    const { kest } = setUp({
      identity: key.identity,
      engine: new MockPolicyEngine(() => {
        caller.abort()
        return true
      }),
    })
    await expect(kest.begin(root, { signal: caller.signal })).rejects.toMatchObject({
      code: 'ERR_KEST_ABORTED',
    })
    expect(key.used()).toBe(0)
  })

  it('K-ORDER does not use the key for a caller who has an answer by the time that it is decided', async () => {
    let answered = false
    const key = watched()
    const { kest } = setUp({
      identity: key.identity,
      engine: new MockPolicyEngine(() => {
        answered = true
        return true
      }),
    })
    await expect(kest.begin(root, { isGone: () => answered })).rejects.toMatchObject({
      code: 'ERR_KEST_ABORTED',
    })
    expect(key.used()).toBe(0)
  })

  it('F-PE-04 runs an operation once', async () => {
    const { kest } = setUp()
    const operation = await kest.begin(root)
    await operation.run(() => {})
    await expect(operation.run(() => {})).rejects.toThrow(TypeError)
  })

  it.each<[string, object, RegExp]>([
    ['no operation', { operation: '' }, /operation/],
    ['no policy', { policy: undefined }, /policy/],
    ['an empty policy list', { policy: [] }, /empty/],
    ['an unknown option', { polcy: 'x' }, /unknown option "polcy"/],
    ['a reserved label', { labels: { principal: 'me' } }, /"labels"/],
    ['a label of the protocol', { labels: { 'kest.seq': '1' } }, /"labels"/],
    ['trust that is no integer', { trustOverride: 1.5 }, /"trustOverride"/],
    ['a taint that is no string', { addedTaints: [1] }, /"addedTaints"/],
    ['a resource with a misspelled member', { resource: { id: 'x', atributes: {} } }, /"resource"/],
    ['F-TT-03 removal of a taint without a reason', { removedTaints: ['pii'] }, /sanitizer/],
    ['a hash that is none', { contentHash: 'abc' }, /"contentHash"/],
    [
      'a taint that is added and removed, of which no lineage could tell what it means',
      { addedTaints: ['pii'], removedTaints: ['pii'], sanitizer: true },
      /"pii" is both added and removed/,
    ],
  ])('refuses options with %s when they are given', async (_, options, message) => {
    const { kest } = setUp()
    expect(() => kest.operation({ ...root, ...options } as never)).toThrow(message)
    await expect(kest.begin({ ...root, ...options } as never)).rejects.toMatchObject({
      code: 'ERR_KEST_CONFIG',
    })
  })

  it('signs the labels that it checked, whatever their owner does to them since', async () => {
    const { kest } = setUp()
    const labels: Record<string, string> = { team: 'billing' }
    const fixed = kest.operation({ ...root, labels })
    const asked = kest.operation({ ...root, labels: async () => labels, user: async () => 'alice' })
    labels['kest.sanitizer'] = 'true'
    expect(entryOf(await kest.begin(fixed)).labels).not.toHaveProperty('kest.sanitizer')
    await expect(kest.begin(asked)).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })

  it('refuses metadata that is not JSON, and signs a snapshot of what is', async () => {
    const { kest } = setUp()
    await expect(kest.begin({ ...root, metadata: Number.NaN })).rejects.toMatchObject({
      code: 'ERR_KEST_NOT_JSON',
    })
    const metadata = { list: [1] }
    const operation = await kest.begin({ ...root, metadata })
    metadata.list.push(2)
    expect(operation.entry.entry.metadata).toEqual({ list: [1] })
  })
})

describe('begin: trust, taints and identity', () => {
  it('TC-04 NF-CORR-03 internet then internal stays at 10', async () => {
    const { kest } = setUp()
    const first = await kest.begin({ ...root, origin: 'internet' })
    const second = await kest.begin({ ...child, origin: 'internal' }, { state: first.enter() })
    expect([first.entry.trustScore, second.entry.trustScore]).toEqual([10, 10])
  })

  it('TC-05 F-TS-05 F-AE-09 K-OVERRIDE an override replaces the score and is recorded', async () => {
    const { kest } = setUp()
    const first = await kest.begin({ ...root, origin: 'internet' })
    const second = await kest.begin({ ...child, trustOverride: 400 }, { state: first.enter() })
    expect(second.entry.trustScore).toBe(100)
    expect(second.entry.entry.labels['kest.trust_override']).toBe('100')
  })

  it('TC-06 F-TT-03 {a,b} + c − b is [a,c], by a sanitizer', async () => {
    const { kest } = setUp()
    const first = await kest.begin({ ...root, addedTaints: ['b', 'a'] })
    const second = await kest.begin(
      { ...child, addedTaints: ['c'], removedTaints: ['b'], sanitizer: true },
      { state: first.enter() },
    )
    expect(second.entry.taints).toEqual(['a', 'c'])
    expect(second.entry.entry.labels['kest.sanitizer']).toBe('true')
  })

  it('F-TS-04 a replaced evaluator is asked with the parents’ effective trust', async () => {
    const calculate = vi.fn((self: number, parents: readonly number[]) => Math.min(self, ...parents) - 1)
    const { kest } = setUp({ trustEvaluator: { calculate } })
    const first = await kest.begin({ ...root, origin: 'user_input' })
    const second = await kest.begin(child, { state: first.enter() })
    expect(calculate).toHaveBeenCalledWith(100, [40])
    expect(second.entry.trustScore).toBe(39)
  })

  it.each([250, -5, 1.5])(
    'NF-CORR-03 signs nothing with the trust %d of a replaced evaluator',
    async (score) => {
      const key = watched()
      const { kest } = setUp({ identity: key.identity, trustEvaluator: { calculate: () => score } })
      const first = await kest.begin({ ...root, trustOverride: 50 })
      await expect(kest.begin(child, { state: first.enter() })).rejects.toMatchObject({
        code: 'ERR_KEST_CONFIG',
      })
      expect(key.used()).toBe(1)
    },
  )

  it('K-LIMIT bounds the taints of an entry, which every descendant would have', async () => {
    const { kest } = setUp()
    const taints = (from: number) => Array.from({ length: 200 }, (_, n) => `taint${from + n}`)
    const first = await kest.begin({ ...root, addedTaints: taints(0) })
    await expect(
      kest.begin({ ...child, addedTaints: taints(200) }, { state: first.enter() }),
    ).rejects.toMatchObject({
      code: 'ERR_KEST_LIMIT',
    })
  })

  it('K-EFF a raise by a principal that may not is not believed by this workload either', async () => {
    const { kest, engine } = setUp({ raisers: ['spiffe://hook.test/somebody-else'] })
    const first = await kest.begin({ ...root, origin: 'internet' })
    const second = await kest.begin({ ...child, trustOverride: 90 }, { state: first.enter() })
    expect(second.entry.trustScore).toBe(10)
    expect(engine.requests.at(-1)?.context.trust_score).toBe(10)
  })

  it('TC-12 F-CP-06 the user is seen inside the operation', async () => {
    const { kest } = setUp()
    const seen = await kest.verified({ ...root, user: 'alice', agent: 'bot', task: 'read' }, () => [
      getCurrentUser(),
      getCurrentAgent(),
      getCurrentTask(),
    ])()
    expect(seen).toEqual(['alice', 'bot', 'read'])
    expect(getCurrentUser()).toBeNull()
  })

  it('F-PE-05 resolvers get the arguments; what they leave open is ambient', async () => {
    const { kest, engine } = setUp()
    const inner = kest.verified(
      { ...child, task: async (task: string) => task, agent: () => undefined },
      (_task: string) => getCurrentUser(),
    )
    await kest.verified({ ...root, user: 'alice', agent: 'bot' }, () => inner('write'))()
    expect(engine.requests.at(-1)?.context.subject).toMatchObject({
      user: 'alice',
      agent: 'bot',
      task: 'write',
    })
  })

  it('K-IDENT says who stated an identity: the first that did', async () => {
    const { kest, engine } = setUp()
    const gateway = new MockIdentityProvider('spiffe://hook.test/gateway')
    const first = await kest.begin({ ...root, user: 'alice', identity: gateway })
    await kest.begin(child, { state: first.enter() })
    expect(engine.requests.at(-1)?.context.subject.identity_by).toBe('spiffe://hook.test/gateway')
  })
})

describe('begin: what policies see', () => {
  it('K-LINEAGE gives exactly the context of the protocol, frozen', async () => {
    const { kest, engine } = setUp()
    const first = await kest.begin({
      ...root,
      origin: 'user_input',
      classification: 'public',
      addedTaints: ['raw'],
    })
    await kest.begin(
      { ...child, user: 'alice', resource: { id: 'order/1', attributes: { region: 'eu' } } },
      { state: first.enter() },
    )
    const context = engine.requests.at(-1)?.context as PolicyContext
    expect(context).toEqual({
      subject: {
        workload: 'spiffe://hook.test/service',
        user: 'alice',
        agent: null,
        task: null,
        trust_score: 40,
        taints: ['raw'],
        identity_by: 'spiffe://hook.test/service',
      },
      object: { id: 'order/1', attributes: { region: 'eu' } },
      environment: {
        is_root: false,
        source_type: 'internal',
        parent_hash: first.entry.hash,
        policy_names: ['test/allow'],
        policy_tier: 'function',
        active_deviations: [],
        classification: 'system',
      },
      identity: 'spiffe://hook.test/service',
      trust_score: 40,
      lineage: {
        depth: 1,
        principals: ['spiffe://hook.test/service'],
        operations: ['root'],
        classifications: ['public'],
      },
    })
    const parts: unknown[] = [context]
    for (const part of parts) {
      expect(Object.isFrozen(part)).toBe(true)
      for (const value of Object.values(part as object))
        if (typeof value === 'object' && value !== null) parts.push(value)
    }
    expect(engine.requests[0]?.context.environment).toMatchObject({
      is_root: true,
      source_type: 'user_input',
      parent_hash: '0',
    })
  })
})

describe('begin: what it emits', () => {
  function tracing(): { exporter: InMemorySpanExporter; provider: BasicTracerProvider } {
    const exporter = new InMemorySpanExporter()
    return {
      exporter,
      provider: new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    }
  }

  it('F-TE-01 F-TE-02 NF-OBS-03 K-SPAN ends the audit span, with every attribute, before the operation runs', async () => {
    const { exporter, provider } = tracing()
    const { kest } = setUp({ telemetry: { tracerProvider: provider } })
    const first = await kest.begin(root)
    exporter.reset()
    const second = await kest.begin(child, { state: first.enter() })
    const seen = await second.run(() => exporter.getFinishedSpans())
    expect(seen).toHaveLength(1)
    const span = seen[0]
    expect(span?.name).toBe('kest.verified.child')
    expect(span?.instrumentationScope.name).toBe('kest.core')
    expect(span?.attributes).toEqual({
      'kest.signature': second.entry.jws,
      'kest.parent_hash': first.entry.hash,
      'kest.passport': JSON.stringify([first.entry.jws, second.entry.jws]),
      'kest.entry_id': second.entry.entry.entry_id,
      'kest.workload_id': 'spiffe://hook.test/service',
      'kest.trust_score': 100,
      'kest.operation': 'child',
      'kest.trace_id': first.entry.entry.labels['trace_id'],
      'kest.chain_tip': second.entry.hash,
      'kest.decision': 'allow',
    })
    expect(second.entry.entry.otel_context).toMatchObject({
      trace_id: span?.spanContext().traceId,
      span_id: span?.spanContext().spanId,
    })
  })

  it('can leave the passport out of the span', async () => {
    const { exporter, provider } = tracing()
    const { kest } = setUp({ telemetry: { tracerProvider: provider, passport: false } })
    await kest.begin(root)
    expect(exporter.getFinishedSpans()[0]?.attributes).not.toHaveProperty('kest.passport')
  })

  it('K-AUDIT a denial has a span without a signature', async () => {
    const { exporter, provider } = tracing()
    const { kest } = setUp({
      telemetry: { tracerProvider: provider },
      engine: new MockPolicyEngine(() => ({ allow: false, reason: 'no' })),
    })
    const { state, entry } = await setUp().kest.begin(root)
    await expect(kest.begin(child, { state })).rejects.toThrow()
    const [span] = exporter.getFinishedSpans()
    expect(span?.attributes).toMatchObject({
      'kest.trace_id': entry.entry.labels['trace_id'],
      'kest.parent_hash': entry.hash,
      'kest.decision': 'deny',
      'kest.decision.reason': 'no',
      'error.type': 'ERR_KEST_DENIED',
    })
    expect(span?.attributes).not.toHaveProperty('kest.signature')
  })

  it('K-AUDIT a reason goes to span and log, cut where it is long, and is the reason of this decision alone', async () => {
    const { exporter, provider } = tracing()
    const { kest, logger } = setUp({
      telemetry: { tracerProvider: provider },
      engine: createFunctionEngine({
        owner: () => ({ allow: true, reason: 'alice owns it' }),
        silent: () => true,
        long: () => ({ allow: true, reason: 'x'.repeat(5_000) }),
        no: () => false,
        never: () => ({ allow: false, reason: 'y'.repeat(5_000) }),
      }),
    })
    for (const policy of ['owner', 'silent', 'long'] as const) await kest.begin({ ...root, policy })
    for (const policy of [['owner', 'no'], 'never'] as const) {
      await expect(kest.begin({ ...root, policy })).rejects.toMatchObject({ code: 'ERR_KEST_DENIED' })
    }
    const reasons = exporter.getFinishedSpans().map(({ attributes }) => attributes['kest.decision.reason'])
    const cut = (letter: string) => `${letter.repeat(1_023)}…`
    expect(reasons).toEqual(['alice owns it', undefined, cut('x'), undefined, cut('y')])
    expect(logger.records.map(({ level, details }) => [level, details['reason']])).toEqual([
      ['debug', 'alice owns it'],
      ['debug', cut('x')],
      ['warn', undefined],
      ['warn', cut('y')],
    ])
    const [span] = exporter.getFinishedSpans()
    expect(logger.records[0]).toMatchObject({
      message: 'policies allowed',
      details: {
        operation: 'root',
        entry_id: span?.attributes['kest.entry_id'],
        workload_id: 'spiffe://hook.test/service',
        tier: 'function',
        policies: ['owner'],
      },
    })
  })

  it('F-PE-07 K-AUDIT the span has the reasons of every tier that gave one, in order', async () => {
    deploy('policies: { enterprise: [ent], platform: [silent] }')
    const { exporter, provider } = tracing()
    const { kest, logger } = setUp({
      telemetry: { tracerProvider: provider },
      engine: createFunctionEngine({
        ent: () => ({ allow: true, reason: 'no embargo' }),
        silent: () => true,
        own: async () => ({ allow: true, reason: 'alice owns it' }),
      }),
    })
    await kest.begin({ ...root, policy: 'own' })
    await kest.close()
    expect(exporter.getFinishedSpans()[0]?.attributes).toMatchObject({
      'kest.decision': 'allow',
      'kest.decision.reason': 'no embargo; alice owns it',
    })
    const allowed = logger.records.filter(({ message }) => message === 'policies allowed')
    expect(allowed.map(({ details }) => details['tier'])).toEqual(['enterprise', 'function'])
  })

  it('F-PE-03 waits for all tiers together as long as it may take, and no longer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    deploy('policies: { enterprise: [a], platform: [b], application: [c] }')
    const asked: string[] = []
    const evaluate: PolicyEngine['evaluate'] = async ({ policies }) => {
      asked.push(...policies)
      await new Promise((resolve) => setTimeout(resolve, 2_000))
      return true
    }
    const { kest } = setUp({ engine: { evaluate }, policyTimeoutMs: 3_000 })
    const refused = expect(kest.begin(root)).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE_TIMEOUT' })
    await expect.poll(() => asked).toEqual(['a'])
    await vi.advanceTimersByTimeAsync(2_000)
    await expect.poll(() => asked).toEqual(['a', 'b'])
    await vi.advanceTimersByTimeAsync(1_000)
    await refused
    expect(asked).toEqual(['a', 'b'])
    await kest.close()
  })

  it('K-ASK F-PE-07 asks an engine outside the process for all tiers at once, and signs nothing before the last allowed', async () => {
    deploy('policies: { enterprise: [ent], application: [app] }')
    const answers = new Map<string, (answer: boolean | Decision) => void>()
    const lists: (readonly PolicyRequest[])[] = []
    const engine: PolicyEngine = {
      evaluate: () => false,
      evaluateAll: (requests) => {
        lists.push(requests)
        return requests.map(
          ({ policies }) => new Promise((resolve) => answers.set(policies[0] as string, resolve)),
        )
      },
    }
    const key = watched()
    const { kest, logger } = setUp({ identity: key.identity, engine })
    const under = kest.begin({ ...root, policy: ['own', 'more'] })
    await expect.poll(() => lists).toHaveLength(1)
    const [requests] = lists as [readonly PolicyRequest[]]
    expect(requests.map(({ policies }) => policies)).toEqual([['ent'], ['app'], ['own', 'more']])
    expect(requests).toSatisfy(Object.isFrozen)
    const [first, ...others] = requests.map(({ context }) => context) as [PolicyContext, ...PolicyContext[]]
    for (const context of others) {
      // One and the same, so that it need not be written twice.
      for (const part of ['subject', 'object', 'lineage'] as const) expect(context[part]).toBe(first[part])
      const { policy_tier: _, policy_names: __, ...rest } = context.environment
      expect(first.environment).toMatchObject(rest)
    }
    for (const name of ['own', 'app', 'ent']) {
      expect(key.used()).toBe(0)
      answers.get(name)?.({ allow: true, reason: `${name} says so` })
      await new Promise(setImmediate)
    }
    expect((await under).entry.entry.policy_context).toMatchObject({
      enterprise_policies: ['ent'],
      app_policies: ['app'],
      function_policies: ['own', 'more'],
    })
    expect(key.used()).toBe(1)
    const allowed = logger.records.filter(({ message }) => message === 'policies allowed')
    expect(allowed.map(({ details }) => details['tier'])).toEqual(['enterprise', 'application', 'function'])

    const denied = kest.begin(root)
    await expect.poll(() => lists).toHaveLength(2)
    answers.get('test/allow')?.(true)
    answers.get('app')?.({ allow: false, reason: 'embargo' })
    answers.get('ent')?.(true)
    await expect(denied).rejects.toMatchObject({
      code: 'ERR_KEST_DENIED',
      policies: ['app'],
      reason: 'embargo',
    })
    expect(key.used()).toBe(1)
    await kest.close()
  })

  it('K-SPAN an operation that throws keeps its entry, and is an event of the span around it', async () => {
    const { exporter, provider } = tracing()
    const { kest } = setUp({ telemetry: { tracerProvider: provider } })
    const operation = await kest.begin(root)
    const addEvent = vi.fn()
    const active = vi.spyOn(trace, 'getActiveSpan').mockReturnValue({ addEvent } as never)
    await expect(operation.run(() => Promise.reject(new Error('boom')))).rejects.toThrow('boom')
    active.mockRestore()
    expect(addEvent).toHaveBeenCalledWith('kest.operation.threw', {
      'kest.entry_id': operation.entry.entry.entry_id,
    })
    expect(exporter.getFinishedSpans()[0]?.attributes['kest.decision']).toBe('allow')
  })

  it('K-TRACE a root takes its span’s trace id, its descendants repeat it, in whatever trace they run', async () => {
    const { provider } = tracing()
    const { kest } = setUp({ telemetry: { tracerProvider: provider } })
    const first = await kest.begin(root)
    const second = await kest.begin(child, { state: first.enter() })
    const traceId = first.entry.entry.labels['trace_id']
    expect(traceId).toBe(first.entry.entry.otel_context['trace_id'])
    expect(second.entry.entry.labels['trace_id']).toBe(traceId)
    expect(second.entry.entry.otel_context['trace_id']).not.toBe(traceId)
  })

  it('K-TRACE a root without a span draws a trace id, never zeros', async () => {
    const { kest } = setUp()
    const ids = await Promise.all(
      Array.from({ length: 600 }, async () => (await kest.begin(root)).entry.entry.labels['trace_id']),
    )
    expect(new Set(ids).size).toBe(600)
    for (const id of ids) expect(id).toMatch(/^(?!0{32})[0-9a-f]{32}$/)
  })

  it('K-TRACE concurrent roots of one request agree on the trace id', async () => {
    const { kest } = setUp()
    const state = await kest.extract({}, { origin: 'user_input' })
    const [a, b] = await Promise.all([kest.begin(child, { state }), kest.begin(child, { state })])
    expect(a?.entry.entry.labels['trace_id']).toBe(b?.entry.entry.labels['trace_id'])
  })

  it('NF-OBS-01 logs why a function in the options failed', async () => {
    const { kest, logger } = setUp()
    const user = () => Promise.reject(new TypeError('no row'))
    await expect(kest.begin({ ...root, user })).rejects.toThrow('no row')
    expect(logger.records[0]?.details).toMatchObject({
      code: '_OTHER',
      err: 'TypeError: no row',
    })
  })

  it('K-SPAN K-AUDIT emits no entry whose caller left while it was signed, and leaves no gap', async () => {
    let caller = new AbortController()
    let leaves = false
    const remote: Signer = {
      workloadId: identity.getWorkloadId(),
      header: identity.current().header,
      local: false,
      sign: async (input) => {
        const signature = await identity.current().sign(input)
        if (leaves) caller.abort()
        return signature
      },
    }
    const { exporter, provider } = tracing()
    const { kest, logger } = setUp({
      identity: { getWorkloadId: () => identity.getWorkloadId(), current: () => remote },
      telemetry: { tracerProvider: provider },
    })
    const state = await kest.extract({}, { origin: 'system' })
    const begun = async (left: boolean): Promise<Operation> => {
      caller = new AbortController()
      leaves = left
      return kest.begin(child, { state, signal: caller.signal })
    }
    const first = await begun(false)
    await expect(begun(true)).rejects.toMatchObject({ code: 'ERR_KEST_ABORTED' })
    const second = await begun(false)
    const numberOf = ({ entry }: Operation) => entry.entry.labels['kest.seq']?.split(':')[1]
    expect([first, second].map(numberOf)).toEqual(['1', '2'])
    expect(exporter.getFinishedSpans().map(({ attributes }) => attributes['kest.decision'])).toEqual([
      'allow',
      'deny',
      'allow',
    ])
    expect(exporter.getFinishedSpans()[1]?.attributes).not.toHaveProperty('kest.signature')
    expect(state.frame.lineage.length).toBe(0)
    expect(logger.records.map(({ details }) => details['code'])).toEqual(['ERR_KEST_ABORTED'])
  })

  it('K-AUDIT numbers the entries of an instance without a gap, also when a signature fails in between', async () => {
    let fail = false
    const signer: Signer = {
      ...identity.current(),
      workloadId: 'w',
      header: identity.current().header,
      local: true,
      sign: (input) => {
        if (fail) throw new Error('HSM')
        return identity.current().sign(input)
      },
    }
    const { kest } = setUp({ identity: { getWorkloadId: () => 'w', current: () => signer } })
    const labels: string[] = []
    for (const failing of [false, true, false, true, true, false]) {
      fail = failing
      await kest.begin(root).then(
        (operation) => labels.push(operation.entry.entry.labels['kest.seq'] as string),
        () => {},
      )
    }
    const numbers = labels.map((label) => label.split(':')[1])
    expect(numbers).toEqual(['1', '2', '3'])
    expect(new Set(labels.map((label) => label.split(':')[0])).size).toBe(1)
  })

  it('K-AUDIT numbers the entries of each identity of an instance by themselves, under a uuid of its own', async () => {
    const { kest } = setUp()
    const other = { ...root, identity: new MockIdentityProvider('other') }
    const labels: string[] = []
    for (const definition of [root, other, root, other, other]) {
      const { entry } = await kest.begin(definition)
      labels.push(entry.entry.labels['kest.seq'] as string)
    }
    const [mine, others] = labels.map((label) => label.split(':')[0]) as [string, string]
    expect(mine).not.toBe(others)
    expect(labels).toEqual([`${mine}:1`, `${others}:1`, `${mine}:2`, `${others}:2`, `${others}:3`])
  })
})

describe('what never answers', () => {
  const never = (): Promise<never> => new Promise(() => undefined)
  const hanging: IdentityProvider = { getWorkloadId: () => identity.getWorkloadId(), current: never }
  const signer = identity.current()
  const mute: IdentityProvider = {
    getWorkloadId: () => identity.getWorkloadId(),
    current: () => ({ workloadId: signer.workloadId, header: signer.header, local: false, sign: never }),
  }

  it.each([
    ['its identity', hanging],
    ['the key of its identity', mute],
  ])('is not waited for beyond its time: %s', async (_, silent) => {
    const { kest, logger } = setUp({ identity: silent, identityTimeoutMs: 20 })
    await expect(kest.begin(root)).rejects.toMatchObject({ code: 'ERR_KEST_IDENTITY' })
    expect(logger.records.map(({ details }) => details['code'])).toEqual(['ERR_KEST_IDENTITY'])
  })

  it.each([
    ['its identity', { identity: hanging }, root],
    ['the key of its identity', { identity: mute }, root],
    ['what it acts on', {}, { ...root, resource: never }],
  ])('is left when the caller leaves: %s', async (_, options, operation) => {
    const { kest, logger } = setUp(options)
    const controller = new AbortController()
    const begun = kest.begin(operation, { signal: controller.signal })
    setTimeout(() => controller.abort(), 10)
    await expect(begun).rejects.toMatchObject({ code: 'ERR_KEST_ABORTED' })
    expect(logger.records.map(({ details }) => details['code'])).toEqual(['ERR_KEST_ABORTED'])
  })

  it('K-HOP leaves a request unsent whose token is not signed in time', async () => {
    const { kest } = setUp()
    const { state } = await kest.begin(root)
    for (const silent of [hanging, mute]) {
      const sender = createKest({ identity: silent, identityTimeoutMs: 20 })
      const sent = sender.run(state, () => sender.inject({}, 'http://127.0.0.1:1', { hop: true }))
      await expect(sent).rejects.toMatchObject({ code: 'ERR_KEST_IDENTITY' })
    }
  })

  it('the keys of an inbound passport are left when the caller leaves', async () => {
    const source: KeySource = { name: 'silent', kind: 'keys', generation: 0, find: never }
    const { kest: sender } = setUp()
    const { state } = await sender.begin(root)
    const { baggage } = await sender.run(state, () =>
      sender.inject<Record<string, string>>({}, 'http://127.0.0.1:1'),
    )
    const { kest } = setUp({ trust: source })
    const controller = new AbortController()
    const received = kest
      .listener()
      .receive({ headers: { baggage: baggage as string }, signal: controller.signal })
    setTimeout(() => controller.abort(), 10)
    await expect(received).rejects.toMatchObject({ code: 'ERR_KEST_ABORTED' })
  })
})
