import { context } from '@opentelemetry/api'
import { unsuppressTracing } from '@opentelemetry/core'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'

type GetTracer = BasicTracerProvider['getTracer']

/**
 * A provider whose spans are recorded also where tracing is suppressed, as instrumentation does around requests that it
 * shall ignore: that says what shall not be observed, not what need not be on record. Parent and trace stay as they are.
 */
export class AuditTracerProvider extends BasicTracerProvider {
  override getTracer(...scope: Parameters<GetTracer>): ReturnType<GetTracer> {
    const tracer = super.getTracer(...scope)
    const startSpan: typeof tracer.startSpan = (name, options, within = context.active()) =>
      tracer.startSpan(name, options, unsuppressTracing(within))
    return Object.assign(Object.create(tracer), { startSpan })
  }
}
