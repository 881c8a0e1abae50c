import { assertOptions, KestError } from '@kest/core'
import type { TelemetryOptions } from '../../setup/options.js'
import { OtlpDestination } from './otlp-destination.js'
import { otlpSettings } from './otlp-settings.js'

/** Where it would export to, as `setupTelemetry` takes it. */
export type OtlpCheck = Pick<TelemetryOptions, 'endpoint' | 'headers' | 'timeoutMs' | 'protocol'>

/**
 * Whether a receiver of OTLP takes what `setupTelemetry({ exporter: 'otlp' })` would send there, with the same environment
 * variables: exports a batch without spans, once. Does *not* show that it keeps them, nor that a large batch passes.
 *
 * @returns where it is, without what could be a secret: `OTLP http://127.0.0.1:4318/v1/traces`
 * @throws {KestConfigError} for options and environment variables that are wrong
 * @throws {KestError} by rejecting: `ERR_KEST_AUDIT_UNAVAILABLE`, which says what it answered, or why nothing came
 *
 * @example
 * ```ts
 * await checkOtlp({ endpoint: 'http://127.0.0.1:4318', timeoutMs: 2_000 })
 * ```
 */
export async function checkOtlp(options: OtlpCheck = {}): Promise<string> {
  assertOptions('checkOtlp', options, ['endpoint', 'headers', 'timeoutMs', 'protocol'])
  const { endpoint, headers, timeoutMs, protocol } = options
  const destination = new OtlpDestination(
    otlpSettings({ endpoint, headers, timeoutMs, protocol }, process.env),
  )
  try {
    await destination.write([])
    return destination.name
  } catch (cause) {
    throw new KestError('ERR_KEST_AUDIT_UNAVAILABLE', `${destination.name}: ${(cause as Error).message}`, {
      cause,
    })
  } finally {
    await destination.close()
  }
}
