import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { describe, expect, it } from 'vitest'
import { FleetMetrics } from '../src/metrics.js'

describe('the metrics of a fleet', () => {
  it('are counted by kind, and observed of each partition while it is at work', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
    const provider = new MeterProvider({ readers: [reader] })
    let asked = 0
    const one = new FleetMetrics(provider, () => {
      asked++
      return [
        ['split', 0, { lag: 7, open: null }],
        ['judge', 1, { lag: 0, open: 3 }],
      ]
    })
    one.judged({ verdict: 'verified' }, 31_000)
    one.judged({ verdict: 'broken' }, null)
    one.found({ code: 'sequence-gap', times: 2, withdrawn: false })
    one.found({ code: 'sequence-gap', times: 1, withdrawn: true })
    const read = async (): Promise<Map<string, unknown>> => {
      exporter.reset()
      await reader.forceFlush()
      const all = exporter
        .getMetrics()
        .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
      return new Map(
        all.map(({ descriptor: { name, unit }, dataPoints }) => [
          `${name} ${unit}`,
          dataPoints.map(({ attributes, value }) => [
            attributes,
            typeof value === 'number' ? value : (value as { sum?: number }).sum,
          ]),
        ]),
      )
    }
    expect(Object.fromEntries(await read())).toEqual({
      'kest.fleet.verdicts {verdict}': [
        [{ 'kest.verdict': 'verified' }, 1],
        [{ 'kest.verdict': 'broken' }, 1],
      ],
      'kest.fleet.findings {finding}': [[{ 'kest.finding': 'sequence-gap' }, 2]],
      'kest.fleet.verdict.delay s': [[{}, 31]],
      'kest.fleet.lag {record}': [
        [{ 'kest.stage': 'split', 'kest.partition': 0 }, 7],
        [{ 'kest.stage': 'judge', 'kest.partition': 1 }, 0],
      ],
      'kest.fleet.open {trace}': [[{ 'kest.stage': 'judge', 'kest.partition': 1 }, 3]],
    })
    one.close()
    const before = asked
    await read()
    expect(asked).toBe(before)
    await provider.shutdown()
  })
})
