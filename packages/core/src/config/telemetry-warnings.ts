import { propagation, ROOT_CONTEXT, type TracerProvider, trace } from '@opentelemetry/api'
import { SCOPE, SPAN_PREFIX } from '../telemetry/attributes.js'
import { isAudited } from '../telemetry/audit-trail.js'
import { describeError } from '../telemetry/describe-error.js'
import type { Logger } from '../telemetry/logger.js'

/** Enough to tell a sampler that keeps some from one that keeps none, for the most part. */
const PROBES = 32
const PROBE = 'kest.probe'

/**
 * Looks at what OpenTelemetry was set up to do so far, and warns where it sends passports to strangers or leaves audit spans
 * out. What is registered later is not seen.
 */
export function warnOfTelemetry(tracerProvider: TracerProvider | undefined, logger: Logger): void {
  try {
    if (sendsKest()) {
      logger.warn(
        { remedy: 'wrap it: filterKestBaggage(propagator)' },
        'the global propagator sends kest.* members on, to whomever the process calls',
      )
    }
    if (samplesNothing(tracerProvider ?? trace.getTracerProvider())) {
      logger.warn(
        { remedy: 'give telemetry a provider that keeps all spans, such as setupTelemetry() makes' },
        'the sampler drops every span that begins here: audit spans are lost',
      )
    }
  } catch (error) {
    logger.warn({ err: describeError(error) }, 'what OpenTelemetry was set up to do could not be looked at')
  }
}

function sendsKest(): boolean {
  const baggage = propagation.createBaggage({ [PROBE]: { value: '1' } })
  const carrier: Record<string, unknown> = {}
  propagation.inject(propagation.setBaggage(ROOT_CONTEXT, baggage), carrier)
  return Object.values(carrier).some((value) => String(value).includes(PROBE))
}

/** Spans that are not ended are not exported. Without an SDK there is no sampler, and no trace. */
function samplesNothing(provider: TracerProvider): boolean {
  if (isAudited(provider)) return false
  const tracer = provider.getTracer(SCOPE)
  for (let i = 0; i < PROBES; i++) {
    const span = tracer.startSpan(`${SPAN_PREFIX}probe`, { root: true }, ROOT_CONTEXT)
    if (span.isRecording() || !trace.isSpanContextValid(span.spanContext())) return false
  }
  return true
}
