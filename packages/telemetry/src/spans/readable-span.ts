import type { Attributes, HrTime, Link, SpanContext, SpanKind, SpanStatus } from '@opentelemetry/api'

/**
 * A span that has ended, as exporters and span processors of OpenTelemetry see it. Its shape is that of their SDK, in
 * which lines 2 and 3 agree, so that this package needs neither.
 */
export interface ReadableSpan {
  readonly name: string
  readonly kind: SpanKind
  readonly spanContext: () => SpanContext
  readonly parentSpanContext?: SpanContext
  readonly startTime: HrTime
  readonly endTime: HrTime
  readonly status: SpanStatus
  readonly attributes: Attributes
  readonly links: Link[]
  readonly events: TimedEvent[]
  readonly duration: HrTime
  readonly ended: boolean
  readonly resource: Resource
  readonly instrumentationScope: InstrumentationScope
  readonly droppedAttributesCount: number
  readonly droppedEventsCount: number
  readonly droppedLinksCount: number
}

export interface TimedEvent {
  readonly time: HrTime
  readonly name: string
  readonly attributes?: Attributes
  readonly droppedAttributesCount?: number
}

/** Who emits a span. */
export interface Resource {
  readonly attributes: Readonly<Record<string, unknown>>
}

export interface InstrumentationScope {
  readonly name: string
  readonly version?: string
  readonly schemaUrl?: string
}

/** What a tracer provider of OpenTelemetry's SDK takes among its `spanProcessors`. */
export interface SpanProcessor {
  onStart(): void
  onEnd(span: ReadableSpan): void
  forceFlush(): Promise<void>
  shutdown(): Promise<void>
}

/** An exporter of OpenTelemetry's. */
export interface SpanExporter {
  export(spans: ReadableSpan[], resultCallback: (result: ExportResult) => void): void
  shutdown(): Promise<void>
}

/** `code` 0: the spans are there; anything else: they are not. */
export interface ExportResult {
  readonly code: number
  readonly error?: Error
}
