import { type AuditTrail, bindAuditTrail } from '@kest/core'
import type { MeterProvider, TracerProvider } from '@opentelemetry/api'
import type { SpanProcessor } from '../spans/readable-span.js'
import { AuditTracerProvider } from '../spans/tracer-provider.js'
import { exponentialBackoff } from '../trail/backoff.js'
import { ExportLoop } from '../trail/export-loop.js'
import { Gate } from '../trail/gate.js'
import { TrailMetrics } from '../trail/metrics.js'
import { AuditSpanProcessor } from '../trail/processor.js'
import { SpanQueue } from '../trail/queue.js'
import { type TrailCounts, TrailReport } from '../trail/report.js'
import { destinationOf } from './destination-of.js'
import type { TelemetryOptions } from './options.js'
import { type ResolvedOptions, resolveOptions } from './resolve-options.js'
import { resourceOf } from './resource.js'
import { onSignals } from './signals.js'

/** The audit trail of a service: its members are what `configure({ telemetry })` takes. Made by {@link setupTelemetry}. */
export class Telemetry {
  /** A provider of its own, beside whatever the application has: no sampler, no suppressed tracing and no environment variable thins it out. */
  readonly tracerProvider: TracerProvider
  readonly meterProvider: MeterProvider | undefined
  readonly passport: boolean | undefined
  /** Makes operations wait, or refuses them; `undefined` where they never do (`onOverflow: 'drop'`). */
  readonly auditTrail: AuditTrail | undefined
  /**
   * For an SDK that the application has, in place of `tracerProvider`: takes Kest's spans out of those of that SDK. Its
   * sampler and its limits then decide what there is to take.
   */
  readonly spanProcessor: SpanProcessor
  readonly #parts: {
    readonly loop: ExportLoop
    readonly report: TrailReport
    readonly flushTimeoutMs: number
  }
  readonly #close: () => void
  #closing: Promise<void> | null = null

  /** Use {@link setupTelemetry}. */
  constructor(options: ResolvedOptions) {
    const { logger, exportDelayMs: delayMs, flushTimeoutMs, onOverflow } = options
    const resource = resourceOf(options, process.env)
    const destination = destinationOf(options, resource.attributes['service.name'] as string, process.env)
    const queue = new SpanQueue({ spans: options.queueSize, bytes: options.queueBytes })
    const report = new TrailReport(destination.name, new TrailMetrics(queue, options.meterProvider), logger)
    const loop = new ExportLoop({
      queue,
      destination,
      report,
      batch: { spans: options.batchSize, bytes: options.batchBytes },
      delayMs,
      backoff: exponentialBackoff,
    })
    const gate = onOverflow === 'drop' ? undefined : new Gate(queue, { ...options, onFull: onOverflow })
    const processor = new AuditSpanProcessor(
      { queue, loop, report },
      { flush: () => this.forceFlush(), shutdown: () => this.shutdown() },
    )
    this.tracerProvider = new AuditTracerProvider(resource, (span) => processor.onEnd(span))
    bindAuditTrail(this.tracerProvider, gate ?? null)
    this.meterProvider = options.meterProvider
    this.passport = options.passport
    this.auditTrail = gate
    this.spanProcessor = processor
    this.#parts = { loop, report, flushTimeoutMs }
    const forget = onSignals(options.flushOn, this, logger)
    this.#close = () => {
      forget()
      gate?.close()
      processor.close()
    }
    if (/^true$/i.test(process.env['OTEL_SDK_DISABLED'] ?? '')) {
      logger.warn({ destination: destination.name }, 'OTEL_SDK_DISABLED does not switch off the audit trail')
    }
  }

  /** Spans taken, exported and lost since the start. */
  get counts(): TrailCounts {
    return this.#parts.report.counts
  }

  /**
   * Exports what is queued now.
   * @throws {KestError} `ERR_KEST_AUDIT_UNAVAILABLE` when it takes longer than `flushTimeoutMs`; it stays queued
   */
  forceFlush(): Promise<void> {
    return this.#parts.loop.flush(this.#parts.flushTimeoutMs)
  }

  /**
   * Exports what is queued, then ends: operations that would need a record are refused, or lose it and are counted,
   * as `onOverflow` says. To be called when nothing begins any more. Idempotent.
   * @throws {KestError} `ERR_KEST_AUDIT_UNAVAILABLE` when spans were lost because it took longer than `flushTimeoutMs`
   */
  shutdown(): Promise<void> {
    if (this.#closing === null) {
      this.#close()
      this.#closing = this.#parts.loop.close(this.#parts.flushTimeoutMs)
    }
    return this.#closing
  }
}

/**
 * Sets up where audit spans go (F-TE-03). Registers nothing global, and works beside an SDK that the application has.
 *
 * Respects OpenTelemetry's environment variables; what is stated here goes before them.
 *
 * @throws {KestConfigError} for options that are unknown, wrong, or contradict each other; for a folder or file that
 *   cannot be written; for environment variables that cannot be read
 *
 * @example
 * ```ts
 * const telemetry = setupTelemetry({ serviceName: 'orders', exporter: 'otlp', flushOn: ['SIGTERM'] })
 * configure({ identity, engine, trust, telemetry })
 * …
 * await telemetry.shutdown()
 * ```
 */
export function setupTelemetry(options: TelemetryOptions = {}): Telemetry {
  return new Telemetry(resolveOptions(options))
}
