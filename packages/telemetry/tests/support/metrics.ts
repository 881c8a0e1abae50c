import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'

/** A provider whose metrics a test can read: `name{reason}` → value. */
export function readableMetrics(): {
  readonly meterProvider: MeterProvider
  read(): Promise<Record<string, unknown>>
} {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const meterProvider = new MeterProvider({ readers: [reader] })
  async function read(): Promise<Record<string, unknown>> {
    await reader.forceFlush()
    const metrics = (exporter.getMetrics().at(-1)?.scopeMetrics ?? [])
      .filter(({ scope }) => scope.name === 'kest.telemetry')
      .flatMap((scope) => scope.metrics)
    return Object.fromEntries(
      metrics.flatMap(({ descriptor: { name }, dataPoints }) =>
        dataPoints.map(({ attributes, value }) => [
          attributes['reason'] === undefined ? name : `${name}{${attributes['reason']}}`,
          value,
        ]),
      ),
    )
  }
  return { meterProvider, read }
}
