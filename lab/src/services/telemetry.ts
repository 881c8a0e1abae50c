import type { KestOptions } from '@kest/core'
import { setupTelemetry } from '@kest/telemetry'
import { required, type Settings } from './settings.js'

/** Where a service's audit spans go, as `configure({ telemetry })` takes it. */
export type ServiceTelemetry = NonNullable<KestOptions['telemetry']> & {
  /** Exports what is left. */
  shutdown(): Promise<void>
}

/**
 * To the Collector. An operation runs only when the Collector has taken its record (`confirm`), and is refused where it does
 * not, so that nothing has run that is not on record. A span shows its own entry: the passport grows with the chain, and is
 * put together from the entries.
 */
export function createTelemetry(
  serviceName: string,
  { collector, exporter, patience }: Settings,
): ServiceTelemetry {
  if (exporter === 'none') return { shutdown: async () => {} }
  required(collector, 'OTEL_EXPORTER_OTLP_ENDPOINT')
  const waitTimeoutMs = 1_000 * patience
  return setupTelemetry({ serviceName, exporter: 'otlp', confirm: true, passport: false, waitTimeoutMs })
}
