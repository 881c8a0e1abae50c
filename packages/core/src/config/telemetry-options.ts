import { assertOptions } from '../assert-options.js'
import { KestConfigError } from '../errors.js'
import { auditTrailOf } from '../telemetry/audit-trail.js'
import { assertPart } from './assert-part.js'
import type { KestOptions } from './options.js'

type TelemetryParts = NonNullable<KestOptions['telemetry']>

/** What there is, and what `setupTelemetry` of `@kest/telemetry`, or a stand-in for what it answers, has beside. */
const KNOWN: ReadonlySet<string> = new Set<
  keyof TelemetryParts | 'spanProcessor' | 'forceFlush' | 'shutdown'
>(['tracerProvider', 'meterProvider', 'passport', 'auditTrail', 'spanProcessor', 'forceFlush', 'shutdown'])

/**
 * A mistake here would not show: operations would run, and their records be lost.
 *
 * @throws {KestConfigError} for what is no object, unknown or wrong parts, and a provider of an audit trail without it
 */
export function resolveTelemetry(telemetry: unknown): TelemetryParts {
  if (telemetry === undefined) return {}
  if (typeof telemetry !== 'object' || telemetry === null || 'then' in telemetry)
    throw new KestConfigError('telemetry: expected an object, such as setupTelemetry() answers')
  assertOptions('telemetry', telemetry, KNOWN)
  const parts = telemetry as TelemetryParts
  const { tracerProvider, meterProvider, passport, auditTrail } = parts
  assertPart('telemetry.tracerProvider', tracerProvider, ['getTracer'])
  assertPart('telemetry.meterProvider', meterProvider, ['getMeter'])
  assertPart('telemetry.auditTrail', auditTrail, ['reserve'])
  if (passport !== undefined && typeof passport !== 'boolean')
    throw new KestConfigError(`telemetry.passport: expected true or false, got ${String(passport)}`)
  if (
    tracerProvider !== undefined &&
    auditTrailOf(tracerProvider) !== undefined &&
    auditTrail === undefined
  ) {
    throw new KestConfigError(
      'telemetry.auditTrail: required with this tracerProvider, whose trail would not be asked; give all that setupTelemetry() answers',
    )
  }
  return parts
}
