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
}

/** What the Collector is run with, here and in `docker/compose.yaml`. */
export function collectorArguments(configuration: string): readonly string[] {
  return [`--config=${configuration}`]
}

/** The OpenTelemetry Collector as in `docker/compose.yaml`. */
export function createCollector(
  supervisor: Supervisor,
  { program, url, spansFile, label = '' }: CollectorOptions,
): Daemon {
  return new Daemon(
    {
      name: `collector${label}`,
      command: program,
      args: collectorArguments(configurationFile('collector/config.yaml')),
      env: { KEST_COLLECTOR_LISTEN: new URL(url).host, KEST_COLLECTOR_FILE: spansFile },
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
