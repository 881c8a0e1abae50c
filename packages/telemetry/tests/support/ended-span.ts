import { ROOT_CONTEXT, type Span, type SpanContext, type SpanKind, trace } from '@opentelemetry/api'
import type { ReadableSpan, Resource } from '../../src/spans/readable-span.js'
import { AuditTracerProvider } from '../../src/spans/tracer-provider.js'

const ORDERS: Resource = { attributes: { 'service.name': 'orders', 'process.pid': 7 } }

let last: ReadableSpan
const tracer = new AuditTracerProvider(ORDERS, (span) => {
  last = span
}).getTracer('kest.core', '1.0')

/** A span of the trail's own provider, as the test describes it. */
export function endedSpan(
  describe: (span: Span) => void,
  options: { readonly name?: string; readonly kind?: SpanKind; readonly parent?: SpanContext } = {},
): ReadableSpan {
  const { name = 'kest.verified.x', kind, parent } = options
  const within = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent)
  const span = tracer.startSpan(name, kind === undefined ? {} : { kind }, within)
  describe(span)
  span.end()
  return last
}
