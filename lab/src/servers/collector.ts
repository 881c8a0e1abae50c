import { configurationFile } from '../files.js'
import { Daemon } from '../supervisor/daemon.js'
import type { Supervisor } from '../supervisor/supervisor.js'
import { assertAnswers } from './ask.js'

export interface CollectorOptions {
  readonly program: string
  readonly url: string
  /** Where spans are appended. */
  readonly spansFile: string
  /** Tells it from others of its kind. Default none. */
  readonly label?: string
  /** Where spans are written to as well. Default nowhere. */
  readonly kafka?: CollectorKafka | undefined
}

/** The `kafka` exporter of a Collector. */
export interface CollectorKafka {
  /** Bootstrap address. */
  readonly brokers: string
  /** Folder where spans wait for the broker. */
  readonly queue: string
  /** Where its own metrics are. */
  readonly metricsPort: number
}

/** Laid over both configurations: the file, and the topic. */
export const BOTH = { service: { pipelines: { traces: { exporters: ['file', 'kafka'] } } } }

/** What the Collector is run with, here and in `docker/compose.yaml`. */
export function collectorArguments(...configurations: readonly string[]): readonly string[] {
  return configurations.map((one) => `--config=${one}`)
}

/** The OpenTelemetry Collector as in `docker/compose.yaml`. */
export function createCollector(
  supervisor: Supervisor,
  { program, url, spansFile, label = '', kafka }: CollectorOptions,
): Daemon {
  const more =
    kafka === undefined ? [] : [configurationFile('collector/kafka.yaml'), `yaml:${JSON.stringify(BOTH)}`]
  return new Daemon(
    {
      name: `collector${label}`,
      command: program,
      args: collectorArguments(configurationFile('collector/config.yaml'), ...more),
      env: {
        KEST_COLLECTOR_LISTEN: new URL(url).host,
        KEST_COLLECTOR_FILE: spansFile,
        ...(kafka === undefined ? {} : environmentOf(kafka)),
      },
      // It takes an export of nothing.
      check: () =>
        assertAnswers(`${url}/v1/traces`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{}',
        }),
    },
    supervisor,
  )
}

function environmentOf({ brokers, queue, metricsPort }: CollectorKafka): Readonly<Record<string, string>> {
  return {
    KEST_KAFKA_BROKERS: brokers,
    KEST_COLLECTOR_QUEUE: queue,
    KEST_COLLECTOR_METRICS_PORT: String(metricsPort),
  }
}
