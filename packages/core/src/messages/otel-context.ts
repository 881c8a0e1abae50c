import { context, trace } from '@opentelemetry/api'
import { withoutKestBaggage } from '../propagation/propagator.js'

/**
 * Judges a message in OpenTelemetry's context as far as that is the message's. Most libraries read in the context of whoever
 * connected, whose span is over: lineage that begins here would be given the trace of that, for ever.
 */
export function inContextOfMessage<T>(judge: () => T): T {
  const active = withoutKestBaggage(context.active())
  const over = trace.getSpan(active)?.isRecording() === false
  return context.with(over ? trace.deleteSpan(active) : active, judge)
}
