import { type Context, propagation, type TextMapPropagator } from '@opentelemetry/api'
import { resemblesKest } from './kest-key.js'

/**
 * A context whose OpenTelemetry Baggage has no `kest.*` entry, however spelled (K-AMBIENT). Instrumentation reads
 * inbound baggage and sends it to whomever the process calls; run what calls others in such a context.
 *
 * @returns the context itself when there is nothing to take out
 */
export function withoutKestBaggage(context: Context): Context {
  const baggage = propagation.getBaggage(context)
  if (baggage === undefined) return context
  const keys = baggage.getAllEntries().map(([key]) => key)
  const ours = keys.filter(resemblesKest)
  if (ours.length === 0) return context
  if (ours.length === keys.length) return propagation.deleteBaggage(context)
  return propagation.setBaggage(context, baggage.removeEntries(...ours))
}

/**
 * Wraps a propagator so that `kest.*` neither enters a context nor leaves one through it (K-AMBIENT, K-SCOPE). With it
 * as the global propagator, auto-instrumented clients that Kest does not know send no passport to anybody. Everything
 * else passes unchanged.
 *
 * @example
 * ```ts
 * new NodeSDK({ textMapPropagator: filterKestBaggage(new CompositePropagator({ propagators: [
 *   new W3CTraceContextPropagator(), new W3CBaggagePropagator()] })) })
 * ```
 */
export function filterKestBaggage(inner: TextMapPropagator): TextMapPropagator {
  return {
    inject: (context, carrier, setter) => inner.inject(withoutKestBaggage(context), carrier, setter),
    extract: (context, carrier, getter) => withoutKestBaggage(inner.extract(context, carrier, getter)),
    fields: () => inner.fields(),
  }
}
