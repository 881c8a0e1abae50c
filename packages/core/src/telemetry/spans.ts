import {
  type Attributes,
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  type Span,
  type SpanContext,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api'
import { type KestEntry, LABEL } from '../entry/entry.js'
import type { ParsedEntry } from '../entry/parse.js'
import type { SignedEntry } from '../jws/compact.js'
import type { Lineage } from '../passport/lineage.js'
import type { VerifiedEntry } from '../passport/verified.js'
import { VERSION } from '../version.js'
import { ATTRIBUTE, RECEIPT_SPAN, SCOPE, SPAN_PREFIX } from './attributes.js'
import { isAudited } from './audit-trail.js'

/** Where audit spans go, and what they show. */
export interface AuditSpanOptions {
  /** Default: the global provider, looked up when a span starts. */
  readonly tracerProvider?: TracerProvider | undefined
  /** Whether the span shows the whole passport: it grows with the square of the chain. */
  readonly passport: boolean
}

/** Makes the audit span of one authorization (K-SPAN). */
export class AuditSpans {
  readonly #options: AuditSpanOptions
  #provider: TracerProvider | undefined
  #tracer: Tracer | undefined

  constructor(options: AuditSpanOptions) {
    this.#options = options
  }

  start(operation: string): AuditSpan {
    return new AuditSpan(this.#on().startSpan(SPAN_PREFIX + operation), this.#options.passport)
  }

  /**
   * What a callee has recorded, in its caller's hands (K-RECEIPT): a span of its own, which is no entry of this process.
   *
   * @param holder whom it was given to
   * @returns whether there is a record
   */
  receipt({ jws, hash, entry }: ParsedEntry, holder: string | undefined): boolean {
    const span = this.#on().startSpan(RECEIPT_SPAN)
    const recording = span.isRecording()
    if (recording)
      span.setAttributes({
        [ATTRIBUTE.receipt]: jws,
        [ATTRIBUTE.receiptHash]: hash,
        [ATTRIBUTE.receiptOf]: entry.labels[LABEL.principal] as string,
        [ATTRIBUTE.traceId]: entry.labels[LABEL.traceId] as string,
        ...(holder !== undefined && { [ATTRIBUTE.receiptHolder]: holder }),
      })
    span.end()
    return recording
  }

  /** Whether the spans are kept as an audit trail, so that none of an operation may be missing. */
  get audited(): boolean {
    const { tracerProvider } = this.#options
    return tracerProvider !== undefined && isAudited(tracerProvider)
  }

  /** The provider's tracer, asked for once. */
  #on(): Tracer {
    const provider = this.#options.tracerProvider ?? trace.getTracerProvider()
    if (this.#tracer === undefined || this.#provider !== provider) {
      this.#tracer = provider.getTracer(SCOPE, VERSION)
      this.#provider = provider
    }
    return this.#tracer
  }
}

/** Starts before the entry is built, which names it; ends, with the record complete, before the operation runs. */
export class AuditSpan {
  readonly #span: Span
  readonly #passport: boolean
  #ended = false

  constructor(span: Span, passport: boolean) {
    this.#span = span
    this.#passport = passport
  }

  /** The span's own context; `null` where nothing traces. */
  context(): SpanContext | null {
    const own = this.#span.spanContext()
    return own !== INVALID_SPAN_CONTEXT && isSpanContextValid(own) ? own : null
  }

  /**
   * The operation was authorized, and this is its record. `lineage` ends with `signed`.
   *
   * @param observed all that was only observed, of which the entry's label may leave some out
   * @returns whether there is a record: nothing may trace, or leave this span out
   */
  allow(
    signed: VerifiedEntry,
    lineage: Lineage,
    { reason, observed }: { readonly reason: string | undefined; readonly observed: string | undefined },
  ): boolean {
    const recording = this.#span.isRecording()
    if (recording) {
      this.#span.setAttributes({
        ...described(signed.entry),
        [ATTRIBUTE.signature]: signed.jws,
        [ATTRIBUTE.chainTip]: signed.hash,
        [ATTRIBUTE.decision]: 'allow',
      })
      if (observed !== undefined) this.#span.setAttribute(ATTRIBUTE.observed, observed)
      if (reason !== undefined) this.#span.setAttribute(ATTRIBUTE.reason, reason)
      // Compact strings hold nothing that JSON escapes.
      if (this.#passport) this.#span.setAttribute(ATTRIBUTE.passport, `["${lineage.strings().join('","')}"]`)
    }
    this.#end()
    return recording
  }

  /** Whether what is said of the operation is still kept: its record was not made, and somebody is to have it. */
  get isOpen(): boolean {
    return !this.#ended && this.#span.isRecording()
  }

  /**
   * The operation did not run. Without a signed denial that is no evidence (K-AUDIT). A record that was made stays.
   * @param entry what was to be signed, as far as it came
   * @param denial as it was signed (K-DENIAL)
   */
  deny(
    entry: KestEntry | undefined,
    code: string,
    { reason, denial }: { readonly reason?: string | undefined; readonly denial?: string | undefined },
  ): void {
    if (this.#ended) return
    if (this.#span.isRecording()) {
      if (entry !== undefined) this.#span.setAttributes(described(entry))
      this.#span.setAttributes({ [ATTRIBUTE.decision]: 'deny', [ATTRIBUTE.errorType]: code })
      if (denial !== undefined) this.#span.setAttribute(ATTRIBUTE.denial, denial)
      if (reason !== undefined) this.#span.setAttribute(ATTRIBUTE.reason, reason)
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message: code })
    }
    this.#end()
  }

  /**
   * An operation that was authorized has ended, and this is the record (K-OUTCOME). Nothing was decided.
   * @returns whether there is a record
   */
  ended(entry: KestEntry, { jws, hash }: SignedEntry): boolean {
    const recording = this.#span.isRecording()
    if (recording)
      this.#span.setAttributes({
        ...described(entry),
        [ATTRIBUTE.signature]: jws,
        [ATTRIBUTE.chainTip]: hash,
      })
    this.#end()
    return recording
  }

  /** There is nothing to say: the span ends without a record. */
  abandon(): void {
    if (!this.#ended) this.#end()
  }

  #end(): void {
    this.#ended = true
    this.#span.end()
  }
}

function described(entry: KestEntry): Attributes {
  return {
    [ATTRIBUTE.entryId]: entry.entry_id,
    [ATTRIBUTE.operation]: entry.operation,
    [ATTRIBUTE.workloadId]: entry.labels[LABEL.principal] as string,
    [ATTRIBUTE.trustScore]: entry.trust_score,
    [ATTRIBUTE.parentHash]: entry.parent_ids.join(','),
    [ATTRIBUTE.traceId]: entry.labels[LABEL.traceId] as string,
  }
}
