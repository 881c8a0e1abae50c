import {
  AlwaysOffSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { createKest } from '../config/kest.js'
import { KestError } from '../errors.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { Signer } from '../identity/provider.js'
import type { MaybePromise } from '../maybe-promise.js'
import { type AuditSlot, type AuditTrail, bindAuditTrail } from '../telemetry/audit-trail.js'
import { KestMetrics } from '../telemetry/metrics.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'

const identity = new MockIdentityProvider('spiffe://trail.test/service')
const root = { operation: 'root', policy: 'yes', origin: 'system' } as const
const full = new KestError('ERR_KEST_AUDIT_UNAVAILABLE', 'full')

/** Kest with a trail that does as told, and what happened, in order. */
function setUp({
  reserve = () => null,
  recorded = () => undefined,
  sign,
}: {
  reserve?: (signal: AbortSignal | null) => MaybePromise<null>
  recorded?: () => MaybePromise<void>
  sign?: Signer['sign']
}) {
  const events: string[] = []
  const exporter = new InMemorySpanExporter()
  const slot: AuditSlot = {
    recorded: (spanId) => {
      const ended = exporter.getFinishedSpans().at(-1)?.spanContext().spanId
      events.push(spanId === ended ? 'recorded' : 'recorded something else')
      return recorded()
    },
    release: () => events.push('released'),
  }
  const auditTrail: AuditTrail = {
    reserve: (signal) => {
      events.push('reserve')
      const reserving = reserve(signal)
      return reserving === null ? slot : reserving.then(() => slot)
    },
  }
  const current: Signer = {
    workloadId: 'w',
    header: identity.current().header,
    local: true,
    sign: (input) => {
      events.push('sign')
      return (sign ?? identity.current().sign)(input)
    },
  }
  const kest = createKest({
    identity: { getWorkloadId: () => 'w', current: () => current },
    engine: new MockPolicyEngine(({ policies }) => {
      events.push('decide')
      return policies[0] === 'yes'
    }),
    logger: new RecordingLogger(),
    telemetry: {
      tracerProvider: new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
      auditTrail,
    },
  })
  return { kest, events, exporter }
}

describe('begin with an audit trail', () => {
  it('K-ORDER K-SPAN asks for room after the last allow, signs, ends the span, and tells the trail', async () => {
    const { kest, events } = setUp({})
    await kest.begin(root)
    expect(events).toEqual(['decide', 'reserve', 'sign', 'recorded'])
  })

  it.each<[string, () => MaybePromise<null>]>([
    [
      'at once',
      () => {
        throw full
      },
    ],
    ['after a while', () => Promise.reject(full)],
  ])(
    'K-ORDER K-AUDIT signs nothing, and takes no number, for what the trail refuses %s',
    async (_, refuse) => {
      let refusing = true
      const { kest, events, exporter } = setUp({ reserve: () => (refusing ? refuse() : null) })
      await expect(kest.begin(root)).rejects.toMatchObject({
        code: 'ERR_KEST_AUDIT_UNAVAILABLE',
        statusCode: 503,
      })
      expect(events).toEqual(['decide', 'reserve'])
      expect(exporter.getFinishedSpans()[0]?.attributes).toMatchObject({
        'kest.decision': 'deny',
        'error.type': 'ERR_KEST_AUDIT_UNAVAILABLE',
      })
      refusing = false
      const operation = await kest.begin(root)
      expect(operation.entry.entry.labels['kest.seq']).toMatch(/:1$/)
    },
  )

  it('K-DENIAL does not ask for what a policy denies, and signs the denial alone', async () => {
    const { kest, events } = setUp({})
    await expect(kest.begin({ ...root, policy: 'no' })).rejects.toMatchObject({ code: 'ERR_KEST_DENIED' })
    expect(events).toEqual(['decide', 'sign'])
  })

  it('gives the room back when the signature fails', async () => {
    const { kest, events } = setUp({
      sign: () => {
        throw new Error('HSM')
      },
    })
    await expect(kest.begin(root)).rejects.toMatchObject({ code: 'ERR_KEST_IDENTITY' })
    expect(events).toEqual(['decide', 'reserve', 'sign', 'released'])
  })

  it('does not sign for a caller who left while it waited for room', async () => {
    const caller = new AbortController()
    const { kest, events } = setUp({
      reserve: async () => {
        caller.abort()
        return null
      },
    })
    await expect(kest.begin(root, { signal: caller.signal })).rejects.toMatchObject({
      code: 'ERR_KEST_ABORTED',
    })
    expect(events).toEqual(['decide', 'reserve', 'released'])
  })

  it('lets the operation run when its record is safe, not before', async () => {
    let safe = () => {}
    const { kest, events } = setUp({ recorded: () => new Promise((resolve) => (safe = resolve)) })
    const operation = kest.begin(root).then((begun) => {
      events.push('begun')
      return begun.run(() => events.push('run'))
    })
    await expect.poll(() => events).toContain('recorded')
    expect(events).not.toContain('begun')
    safe()
    await operation
    expect(events.slice(-3)).toEqual(['recorded', 'begun', 'run'])
  })

  it('does not run what could not be made safe; the record stays as it is', async () => {
    const { kest, exporter } = setUp({ recorded: () => Promise.reject(full) })
    await expect(kest.begin(root)).rejects.toBe(full)
    const spans = exporter.getFinishedSpans()
    expect(spans.map(({ attributes }) => attributes['kest.decision'])).toEqual(['allow'])
  })

  it.each<[string, boolean, AuditTrail | undefined, number]>([
    ['whose provider is bound to a trail', true, undefined, 1],
    ['whose trail says no word', false, { reserve: () => null }, 1],
    ['that no trail is to keep', false, undefined, 0],
  ])(
    'K-AUDIT tells, and counts, an operation that runs though its span recorded nothing, %s',
    async (_, bound, auditTrail, times) => {
      const counted = vi.spyOn(KestMetrics.prototype, 'entryUnrecorded')
      onTestFinished(() => counted.mockRestore())
      const tracerProvider = new BasicTracerProvider({ sampler: new AlwaysOffSampler() })
      if (bound) bindAuditTrail(tracerProvider, null)
      const logger = new RecordingLogger()
      const kest = createKest({
        identity,
        engine: new MockPolicyEngine(true),
        logger,
        telemetry: { tracerProvider, auditTrail },
      })
      const { entry } = await kest.begin(root)
      expect(counted).toHaveBeenCalledTimes(times)
      const errors = logger.records.filter(({ level }) => level === 'error')
      expect(errors.map(({ level, details }) => [level, details['entry_id']])).toEqual(
        Array(times).fill(['error', entry.entry.entry_id]),
      )
    },
  )

  it('refuses a trail that is none', () => {
    expect(() => createKest({ telemetry: { auditTrail: {} as AuditTrail } })).toThrow(/telemetry\.auditTrail/)
  })
})
