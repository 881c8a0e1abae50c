import { setupTelemetry, type Telemetry } from '@kest/telemetry'
import type { Assignment } from './messages.js'

/** Where a service's audit spans go. An operation runs when its span is there: nothing happens of which nobody knows. */
export function createAuditTrail(serviceName: string, spans: Assignment['spans']): Telemetry {
  return setupTelemetry({ serviceName, ...spans, confirm: true, waitTimeoutMs: 5_000 })
}
