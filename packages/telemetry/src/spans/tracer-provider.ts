import {
  type Context,
  context,
  isSpanContextValid,
  type Span,
  type SpanContext,
  type SpanOptions,
  TraceFlags,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api'
import { randomId } from './random-id.js'
import type { InstrumentationScope, ReadableSpan, Resource } from './readable-span.js'
import { RecordedSpan } from './recorded-span.js'

/** What a span becomes part of. */
interface Target {
  readonly resource: Resource
  readonly onEnd: (span: ReadableSpan) => void
}

/**
 * A provider whose spans are all recorded, whole. No sampler, limit or environment variable thins them out, nor does it
 * matter that instrumentation suppresses tracing around requests that it shall ignore: that says what shall not be
 * observed, not what need not be on record. Parent and trace are those of the context.
 */
export class AuditTracerProvider implements TracerProvider {
  readonly #target: Target

  constructor(resource: Resource, onEnd: (span: ReadableSpan) => void) {
    this.#target = { resource, onEnd }
  }

  getTracer(name: string, version?: string, options?: { readonly schemaUrl?: string }): Tracer {
    const scope: InstrumentationScope = {
      name,
      ...(version === undefined ? {} : { version }),
      ...(options?.schemaUrl === undefined ? {} : { schemaUrl: options.schemaUrl }),
    }
    return new AuditTracer(this.#target, scope)
  }
}

class AuditTracer implements Tracer {
  readonly #target: Target
  readonly #scope: InstrumentationScope

  constructor(target: Target, scope: InstrumentationScope) {
    this.#target = target
    this.#scope = scope
  }

  startSpan(name: string, options: SpanOptions = {}, within: Context = context.active()): RecordedSpan {
    const parent = options.root === true ? undefined : parentIn(within)
    const spanContext: SpanContext = {
      traceId: parent?.traceId ?? randomId(16),
      spanId: randomId(8),
      traceFlags: TraceFlags.SAMPLED,
      ...(parent?.traceState === undefined ? {} : { traceState: parent.traceState }),
    }
    return new RecordedSpan({
      ...this.#target,
      name,
      context: spanContext,
      parent,
      scope: this.#scope,
      options,
    })
  }

  startActiveSpan<F extends (span: Span) => unknown>(name: string, fn: F): ReturnType<F>
  startActiveSpan<F extends (span: Span) => unknown>(name: string, options: SpanOptions, fn: F): ReturnType<F>
  startActiveSpan<F extends (span: Span) => unknown>(
    name: string,
    options: SpanOptions,
    within: Context,
    fn: F,
  ): ReturnType<F>
  startActiveSpan<F extends (span: Span) => unknown>(
    name: string,
    ...rest: readonly [F] | readonly [SpanOptions, F] | readonly [SpanOptions, Context, F]
  ): ReturnType<F> {
    const fn = rest.at(-1) as F
    const options = rest.length > 1 ? (rest[0] as SpanOptions) : {}
    const within = rest.length > 2 ? (rest[1] as Context) : context.active()
    const span = this.startSpan(name, options, within)
    return context.with(trace.setSpan(within, span), () => fn(span)) as ReturnType<F>
  }
}

function parentIn(within: Context): SpanContext | undefined {
  const parent = trace.getSpanContext(within)
  return parent !== undefined && isSpanContextValid(parent) ? parent : undefined
}
