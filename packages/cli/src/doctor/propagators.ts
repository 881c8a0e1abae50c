import { type Finding, finding } from './finding.js'
import type { Settings } from './settings.js'

/** What sets up an SDK before any code of the service runs, and so without Kest's filter. */
const SET_UP_FROM_OUTSIDE = /@opentelemetry\/auto-instrumentations-node|@opentelemetry\/sdk-node/

/**
 * Whether what OpenTelemetry is told to propagate carries `kest.*` to whomever the service calls (K-AMBIENT). The environment
 * alone is looked at: an SDK that code sets up is that code's to filter.
 */
export async function checkPropagators({ env }: Settings): Promise<readonly Finding[]> {
  const outside = SET_UP_FROM_OUTSIDE.test(env['NODE_OPTIONS'] ?? '')
  const stated = env['OTEL_PROPAGATORS']?.trim()
  const names = (stated || 'tracecontext,baggage').split(',').map((name) => name.trim())
  const told = stated
    ? `OTEL_PROPAGATORS=${stated}`
    : 'OTEL_PROPAGATORS is not set, which is tracecontext,baggage'
  if (!outside)
    return [finding('propagators', 'propagators-not-told', `NODE_OPTIONS sets up no SDK; ${told}`)]
  if (!names.includes('baggage')) return [finding('propagators', 'propagators-fit', told)]
  return [
    finding(
      'propagators',
      'propagators-baggage',
      `NODE_OPTIONS sets up an SDK whose baggage goes to whomever is called, passports with it: ${told}`,
    ),
  ]
}
