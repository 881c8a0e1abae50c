import { metrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { afterEach, describe, expect, it } from 'vitest'
import { createKest } from '../config/kest.js'
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
