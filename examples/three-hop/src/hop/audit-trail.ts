import { appendFileSync, writeFileSync } from 'node:fs'
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOnSampler,
  BasicTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base'

/**
 * Where a service's audit spans go. A provider of their own: nothing is sampled away and no attribute is cut, whatever
 * the environment says of other spans. Each span is written when it ends, which is before its operation runs.
 */
export function createAuditTrail(service: string, file: string): BasicTracerProvider {
  return new BasicTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service }),
    sampler: new AlwaysOnSampler(),
    spanLimits: { attributeValueLengthLimit: Number.POSITIVE_INFINITY, attributeCountLimit: 64 },
    spanProcessors: [new SimpleSpanProcessor(new JsonLinesExporter(file))],
  })
}

/** One span, one line. */
class JsonLinesExporter implements SpanExporter {
  readonly #file: string

  constructor(file: string) {
    writeFileSync(file, '')
    this.#file = file
  }

  export(spans: readonly ReadableSpan[], done: (result: ExportResult) => void): void {
    try {
      for (const span of spans) appendFileSync(this.#file, `${JSON.stringify(lineOf(span))}\n`)
      done({ code: ExportResultCode.SUCCESS })
    } catch (error) {
      console.error(error)
      done({ code: ExportResultCode.FAILED, error: error as Error })
    }
  }

  async shutdown(): Promise<void> {}
}

function lineOf(span: ReadableSpan): Record<string, unknown> {
  const { traceId, spanId } = span.spanContext()
  return {
    service: span.resource.attributes['service.name'],
    scope: span.instrumentationScope.name,
    name: span.name,
    trace_id: traceId,
    span_id: spanId,
    attributes: span.attributes,
  }
}
