import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { describe, expect, it } from 'vitest'
import { createKest } from '../config/kest.js'
import type { KestOptions } from '../config/options.js'
import type { KestEntry } from '../entry/entry.js'
import { parseEntry } from '../entry/parse.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { IdentityProvider, Signer } from '../identity/provider.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { Lineage } from '../passport/lineage.js'
import { Passport } from '../passport/passport.js'
import { verifyPassport } from '../passport/verify.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { isOutcomeOf } from './outcome-entry.js'

const identity = new MockIdentityProvider('outcomes')
const trust = createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] })
const root = { operation: 'root', policy: 'p', origin: 'internet', addedTaints: ['pii'] } as const

function setUp(options: Partial<KestOptions> = {}) {
  const exporter = new InMemorySpanExporter()
  const engine = new MockPolicyEngine()
  const logger = new RecordingLogger()
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const kest = createKest({
    identity,
    engine,
    logger,
    telemetry: { tracerProvider },
    outcomes: true,
    ...options,
  })
  const signed = () =>
    exporter
      .getFinishedSpans()
      .map(({ attributes }) => parseEntry(attributes['kest.signature'], { limits: DEFAULT_LIMITS }))
  const ends = (): KestEntry[] =>
    signed().flatMap(({ entry }) => (entry.operation.endsWith('#end') ? [entry] : []))
  return { kest, engine, logger, exporter, signed, ends }
}

/** Signs when a test lets it. */
function slowIdentity() {
  let go = (): void => {}
  const gate = new Promise<void>((resolve) => {
    go = resolve
  })
  let signatures = 0
  const signer: Signer = {
    ...identity.current(),
    local: false,
    sign: async (input) => {
      if (++signatures > 1) await gate
      return identity.current().sign(input)
    },
  }
  const slow: IdentityProvider = { getWorkloadId: () => identity.getWorkloadId(), current: () => signer }
  return { slow, go }
}

describe('how an operation ends', () => {
  it('K-OUTCOME is a second entry of its own span, whose parent is the operation’s, and for which no policy is asked', async () => {
    const { kest, engine, signed, exporter } = setUp()
    const operation = await kest.begin(root)
    await operation.run(() => {})
    const [begun, ended] = signed()
    const { labels, ...entry } = ended!.entry
    expect(entry).toMatchObject({
      operation: 'root#end',
      parent_ids: [begun!.hash],
      added_taints: [],
      removed_taints: [],
      taints: ['pii'],
      trust_score: begun!.entry.trust_score,
      policy_context: {
        app_policies: [],
        function_policies: [],
        platform_policies: [],
        enterprise_policies: [],
      },
    })
    expect(Object.keys(labels).sort()).toEqual(['kest.outcome', 'kest.seq', 'principal', 'trace_id'])
    expect(labels['trace_id']).toBe(begun!.entry.labels['trace_id'])
    expect(engine.requests).toHaveLength(1)
    const [, span] = exporter.getFinishedSpans()
    expect(span!.name).toBe('kest.verified.root#end')
    expect(span!.attributes['kest.decision']).toBeUndefined()
    expect(isOutcomeOf(ended!.entry, begun!)).toBe(true)
  })

  it('K-OUTCOME says succeeded, failed or aborted', async () => {
    const { kest, ends } = setUp()
    await (await kest.begin(root)).run(() => {})
    await expect((await kest.begin(root)).run(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
    const controller = new AbortController()
    const aborted = await kest.begin(root, { signal: controller.signal })
    await expect(
      aborted.run(() => {
        controller.abort()
        throw new Error('gone')
      }),
    ).rejects.toThrow('gone')
    const never = await kest.begin(root)
    never.settle()
    const stated = await kest.begin(root)
    stated.enter()
    stated.settle(0, 'failed')
    stated.settle(0, 'succeeded')
    expect(ends().map(({ labels }) => labels['kest.outcome'])).toEqual([
      'succeeded',
      'failed',
      'aborted',
      'aborted',
      'failed',
    ])
  })

  it('K-OUTCOME takes the hash of what was brought about, where that is known', async () => {
    const { kest, ends } = setUp()
    const operation = await kest.begin(root)
    expect(() => operation.produced('AB')).toThrow(TypeError)
    await operation.run(() => operation.produced('ab'.repeat(32)))
    expect(ends()[0]?.content_hash).toBe('ab'.repeat(32))
  })

  it('K-OUTCOME K-AUDIT is numbered with the entries, of which none is missing', async () => {
    const { kest, signed } = setUp()
    await (await kest.begin(root)).run(async () => {
      await (await kest.begin({ operation: 'inner', policy: 'p' })).run(() => {})
    })
    const numbers = signed().map(({ entry }) => entry.labels['kest.seq']?.split(':'))
    expect(numbers.map((number) => number?.[1])).toEqual(['1', '2', '3', '4'])
    expect(new Set(numbers.map((number) => number?.[0])).size).toBe(1)
  })

  it('K-OUTCOME is in no frame and no passport: what follows is as long as without', async () => {
    const { kest } = setUp()
    await (await kest.begin(root)).run(async () => {
      await (await kest.begin({ operation: 'first', policy: 'p' })).run(() => {})
      const second = await kest.begin({ operation: 'second', policy: 'p' })
      expect(second.passport.length).toBe(3)
      expect(second.entry.entry.parent_ids).toHaveLength(1)
    })
  })

  it('K-OUTCOME is not written unless it is asked for', async () => {
    const { kest, ends } = setUp({ outcomes: false })
    await (await kest.begin(root)).run(() => {})
    expect(ends()).toEqual([])
  })

  it('K-OUTCOME is waited for by nobody but close()', async () => {
    const { slow, go } = slowIdentity()
    const { kest, ends } = setUp({ identity: slow })
    await (await kest.begin(root)).run(() => {})
    expect(ends()).toEqual([])
    const closing = kest.close()
    go()
    await closing
    expect(ends()).toHaveLength(1)
  })

  it('K-OUTCOME that cannot be signed fails nothing, is told, and leaves no gap in the numbers', async () => {
    let fails = false
    const failing: IdentityProvider = {
      getWorkloadId: () => identity.getWorkloadId(),
      current: () => {
        if (fails) throw new Error('no key')
        return identity.current()
      },
    }
    const { kest, signed, logger } = setUp({ identity: failing })
    const operation = await kest.begin(root)
    await operation.run(() => {
      fails = true
    })
    expect(logger.records.map(({ message }) => message).join()).toContain('how an operation ended')
    fails = false
    await kest.begin(root)
    expect(signed().map(({ entry }) => entry.labels['kest.seq']?.split(':')[1])).toEqual(['1', '2'])
  })

  it('K-OUTCOME names of operations that end in #end are refused', () => {
    const { kest } = setUp()
    expect(() => kest.operation({ operation: 'orders#end', policy: 'p' })).toThrow('K-OUTCOME')
    expect(() => setUp({ outcomes: 'yes' as never })).toThrow('outcomes: expected a boolean')
  })
})

describe('who reads that an operation has ended', () => {
  async function ended() {
    const { kest, signed } = setUp()
    const operation = await kest.begin(root)
    await operation.run(() => {})
    const [begun, end] = signed()
    return { begun: begun!, end: end! }
  }

  it('K-OUTCOME verifies it as any entry, and does not show it to policies as an operation', async () => {
    const { begun, end } = await ended()
    const verified = await verifyPassport(new Passport([begun.jws, end.jws]), { trust })
    expect(verified.findings).toEqual([])
    expect(verified.entries.map(({ taints }) => taints)).toEqual([['pii'], ['pii']])
    expect(Lineage.of(verified.entries, verified.tips).summary()).toMatchObject({
      depth: 1,
      operations: ['root'],
    })
  })

  it('K-OUTCOME shows what calls itself an outcome, and is none, as the operation that it is', async () => {
    const { begun, end } = await ended()
    const liar = { ...end.entry, operation: 'other#end' }
    expect(isOutcomeOf(liar, begun)).toBe(false)
    for (const change of [
      { parent_ids: ['ab'.repeat(32)] },
      { added_taints: ['x'] },
      { labels: { ...end.entry.labels, principal: 'somebody else' } },
      { labels: { ...end.entry.labels, 'kest.outcome': 'perhaps' } },
      { labels: { ...end.entry.labels, 'kest.sanitizer': 'true' } },
      { policy_context: { ...end.entry.policy_context, app_policies: ['p'] } },
      { trust_score: 100 },
    ])
      expect(isOutcomeOf({ ...end.entry, ...change }, begun)).toBe(false)
  })
})
