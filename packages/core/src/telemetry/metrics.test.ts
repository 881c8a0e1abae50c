import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { metrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createKest } from '../config/kest.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { buildPassport } from '../testing/build-passport.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'

function meter() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  async function read(name: string): Promise<[attributes: object, value: unknown][]> {
    await reader.forceFlush()
    const all = exporter.getMetrics().at(-1)?.scopeMetrics ?? []
    const points = all.filter(({ scope }) => scope.name === 'kest.core').flatMap((scope) => scope.metrics)
    return points
      .filter(({ descriptor }) => descriptor.name === name)
      .flatMap(({ dataPoints }) =>
        dataPoints.map((point) => [point.attributes, point.value] as [object, unknown]),
      )
  }
  return { provider, read }
}

const root = { operation: 'root', policy: 'p', origin: 'system' } as const

describe('metrics', () => {
  afterEach(() => metrics.disable())

  it('K-OBSERVE counts what was observed, by what, code and policy, and shows it on the span', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kest-observed-'))
    const file = join(folder, 'kest.json')
    const common = { scope: { all: true }, reason: 'r', approver: 'a' }
    const expires = new Date(Date.now() + 86_400_000).toISOString()
    const observe = ['policy', 'lineage'].map((what) => ({ what, ...common, expires }))
    writeFileSync(file, JSON.stringify({ policies: {}, observe }))
    const { provider, read } = meter()
    const exporter = new InMemorySpanExporter()
    const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
    vi.stubEnv('KEST_CONFIG', file)
    const kest = createKest({
      identity: new MockIdentityProvider('b'),
      engine: new MockPolicyEngine({ p: true }),
      trust: createKeySource({ a: [new MockIdentityProvider('a').getPublicJwk()] }),
      telemetry: { meterProvider: provider, tracerProvider },
      logger: new RecordingLogger(),
    })
    vi.unstubAllEnvs()
    await kest.begin({ operation: 'op', policy: ['p', 'q'] }, { state: await kest.extract({}) })
    expect(await read('kest.observed')).toEqual([
      [{ 'kest.what': 'lineage', 'error.type': 'ERR_KEST_LINEAGE_MISSING' }, 1],
      [{ 'kest.what': 'policy', 'error.type': 'ERR_KEST_DENIED', 'kest.policy': 'q' }, 1],
    ])
    const [span] = exporter.getFinishedSpans()
    expect(span?.attributes['kest.observed']).toBe(
      '[{"code":"ERR_KEST_DENIED","policy":"q","tier":"function"},{"code":"ERR_KEST_LINEAGE_MISSING","policy":null,"tier":"lineage"}]',
    )
    await kest.close()
    rmSync(folder, { recursive: true })
  })

  it('counts entries signed, denials by code, and verifications by result with their time', async () => {
    const { provider, read } = meter()
    const { passport, trust, headers } = await buildPassport([{ by: 'a' }])
    const kest = createKest({
      identity: new MockIdentityProvider('b'),
      engine: new MockPolicyEngine({ p: true }),
      trust,
      telemetry: { meterProvider: provider },
      logger: new RecordingLogger(),
    })
    await kest.begin(root)
    await expect(kest.begin({ ...root, policy: 'q' })).rejects.toThrow()
    await kest.extract(headers)
    await expect(kest.resume({ passport: [`${passport.entries[0]}x`] }, {})).rejects.toThrow()
    await kest.extract({ baggage: 'kest.user=mallory' }, { origin: 'internet' })
    await kest.inject({}, 'http://hop2')
    const begun = await kest.begin(root)
    await begun.run(() => {
      const outbound = kest.outbound({ propagateTo: ['http://hop2'] })
      outbound.bypassed(new URL('http://hop2/x'))
      outbound.bypassed(new URL('http://elsewhere/'))
      outbound.bypassed(new URL('http://hop2/x'), null)
    })

    expect(await read('kest.entries.signed')).toEqual([[{}, 2]])
    expect(await read('kest.denials')).toEqual([[{ 'error.type': 'ERR_KEST_DENIED' }, 1]])
    expect(await read('kest.verifications')).toContainEqual([{ 'kest.result': 'ok' }, 1])
    expect(await read('kest.verifications')).toHaveLength(2)
    expect(await read('kest.verification.duration')).toContainEqual([
      { 'kest.result': 'ok' },
      expect.objectContaining({ count: 1 }),
    ])
    expect(await read('kest.baggage.stripped')).toEqual([[{}, 1]])
    expect(await read('kest.outbound.stateless')).toEqual([[{}, 1]])
    expect(await read('kest.outbound.bypassed')).toEqual([[{}, 1]])
  })

  it('begins to count when a global provider is registered later', async () => {
    const kest = createKest({ identity: new MockIdentityProvider('b'), engine: new MockPolicyEngine() })
    await kest.begin(root)
    const { provider, read } = meter()
    metrics.setGlobalMeterProvider(provider)
    await kest.begin(root)
    expect(await read('kest.entries.signed')).toEqual([[{}, 1]])
  })
})
