import {
  type Attributes,
  type AttributeValue,
  type Exception,
  type HrTime,
  type Link,
  type Span,
  type SpanContext,
  SpanKind,
  type SpanOptions,
  type SpanStatus,
  SpanStatusCode,
  type TimeInput,
} from '@opentelemetry/api'
import { Clock } from './clock.js'
import type { InstrumentationScope, ReadableSpan, Resource, TimedEvent } from './readable-span.js'

/** What a {@link RecordedSpan} is from its start. */
export interface SpanParts {
  readonly name: string
  readonly context: SpanContext
  readonly parent: SpanContext | undefined
  readonly resource: Resource
  readonly scope: InstrumentationScope
  readonly options: SpanOptions
  readonly onEnd: (span: ReadableSpan) => void
}

/** A span that keeps all it is told, until it ends: nothing is sampled, cut or left out. */
export class RecordedSpan implements Span, ReadableSpan {
  name: string
  readonly kind: SpanKind
  readonly parentSpanContext?: SpanContext
  readonly resource: Resource
  readonly instrumentationScope: InstrumentationScope
  readonly startTime: HrTime
  readonly attributes: Attributes = {}
  readonly links: Link[] = []
  readonly events: TimedEvent[] = []
  readonly droppedAttributesCount = 0
  readonly droppedEventsCount = 0
  readonly droppedLinksCount = 0
  status: SpanStatus = { code: SpanStatusCode.UNSET }
  endTime: HrTime = [0, 0]
  ended = false
  readonly #context: SpanContext
  readonly #clock: Clock
  readonly #onEnd: (span: ReadableSpan) => void

  constructor({ name, context, parent, resource, scope, options, onEnd }: SpanParts) {
    this.name = name
    this.kind = options.kind ?? SpanKind.INTERNAL
    if (parent !== undefined) this.parentSpanContext = parent
    this.resource = resource
    this.instrumentationScope = scope
    this.#context = context
    this.#onEnd = onEnd
    this.#clock = new Clock(options.startTime)
    this.startTime = this.#clock.start
    this.setAttributes(options.attributes ?? {})
    this.addLinks(options.links ?? [])
  }

  /** A function of its own rather than a method: exporters take it off. */
  readonly spanContext = (): SpanContext => this.#context

  get duration(): HrTime {
    return Clock.between(this.startTime, this.endTime)
  }

  isRecording(): boolean {
    return !this.ended
  }

  setAttribute(key: string, value: AttributeValue): this {
    if (!this.ended && value !== undefined && value !== null) this.attributes[key] = value
    return this
  }

  setAttributes(attributes: Attributes): this {
    for (const [key, value] of Object.entries(attributes)) this.setAttribute(key, value as AttributeValue)
    return this
  }

  addEvent(name: string, attributesOrTime?: Attributes | TimeInput, time?: TimeInput): this {
    if (this.ended) return this
    const isTime = Clock.isTime(attributesOrTime)
    const at = this.#clock.at(isTime ? attributesOrTime : time)
    this.events.push({ name, time: at, attributes: isTime ? {} : { ...attributesOrTime } })
    return this
  }

  recordException(exception: Exception, time?: TimeInput): void {
    const { name, message, stack } =
      typeof exception === 'string' ? { name: 'Error', message: exception, stack: undefined } : exception
    const attributes = {
      'exception.type': name,
      'exception.message': message,
      'exception.stacktrace': stack,
    }
    this.addEvent('exception', attributes, time)
  }

  addLink(link: Link): this {
    if (!this.ended) this.links.push(link)
    return this
  }

  addLinks(links: Link[]): this {
    for (const link of links) this.addLink(link)
    return this
  }

  setStatus(status: SpanStatus): this {
    if (!this.ended) this.status = { ...status }
    return this
  }

  updateName(name: string): this {
    if (!this.ended) this.name = name
    return this
  }

  end(time?: TimeInput): void {
    if (this.ended) return
    this.endTime = this.#clock.at(time)
    this.ended = true
    this.#onEnd(this)
  }
}
