import { VERSION } from '@kest/core'
import {
  type Attributes,
  type Counter,
  diag,
  type Meter,
  type MeterProvider,
  metrics,
} from '@opentelemetry/api'
import type { RefusalReason } from '../destinations/destination.js'

/** Instrumentation scope of the trail's own metrics. */
const SCOPE = 'kest.telemetry'

/**
 * Why a span was lost: no room for it (`denial`: for the span of a denial, which is no evidence), the destination will
 * not take it, it cannot be written at all (its text is longer than a string may be), or no time was left when the trail
 * was shut down.
 */
export type LossReason = 'overflow' | 'denial' | RefusalReason | 'shutdown'

/** What is measured of a queue. */
interface Measured {
  readonly size: number
  readonly capacity: number
  readonly bytes: number
  readonly capacityBytes: number
}

interface Instruments {
  readonly accepted: Counter
  readonly exported: Counter
  readonly dropped: Counter
  readonly failures: Counter
}

/**
 * What an operator watches: `kest.audit.spans.accepted`, `kest.audit.spans.exported`, `kest.audit.spans.dropped` (by
 * `reason`), `kest.audit.export.failures`, `kest.audit.queue.size` and `kest.audit.queue.capacity`, and both in bytes:
 * `kest.audit.queue.bytes`, `kest.audit.queue.capacity_bytes`.
 *
 * The global provider is looked up on use: it may be registered later than the trail is made.
 */
export class TrailMetrics {
  readonly #own: MeterProvider | undefined
  readonly #queue: Measured
  #provider: MeterProvider | undefined
  #instruments: Instruments | undefined

  constructor(queue: Measured, meterProvider: MeterProvider | undefined) {
    this.#queue = queue
    this.#own = meterProvider
  }

  accepted(): void {
    this.#add('accepted', 1)
  }

  exported(count: number): void {
    this.#add('exported', count)
  }

  dropped(count: number, reason: LossReason): void {
    this.#add('dropped', count, { reason })
  }

  exportFailed(): void {
    this.#add('failures', 1)
  }

  /** A meter that throws ends neither an operation nor the export: the same numbers are in the trail's counts. */
  #add(name: keyof Instruments, count: number, attributes?: Attributes): void {
    try {
      this.#on()[name].add(count, attributes)
    } catch (error) {
      diag.warn(`kest: a metric of the audit trail was not counted: ${String(error)}`)
    }
  }

  #on(): Instruments {
    const provider = this.#own ?? metrics.getMeterProvider()
    if (this.#instruments === undefined || this.#provider !== provider) {
      this.#provider = provider
      this.#instruments = this.#createOn(provider.getMeter(SCOPE, VERSION))
    }
    return this.#instruments
  }

  #createOn(meter: Meter): Instruments {
    const unit = '{span}'
    const gauges = [
      ['size', unit, 'Audit spans that wait for export', () => this.#queue.size],
      ['capacity', unit, 'Audit spans that may wait for export', () => this.#queue.capacity],
      ['bytes', 'By', 'Memory of audit spans that wait for export', () => this.#queue.bytes],
      ['capacity_bytes', 'By', 'Memory that they may take', () => this.#queue.capacityBytes],
    ] as const
    for (const [name, unit, description, value] of gauges) {
      const gauge = meter.createObservableGauge(`kest.audit.queue.${name}`, { description, unit })
      gauge.addCallback((result) => result.observe(value()))
    }
    return {
      accepted: meter.createCounter('kest.audit.spans.accepted', {
        description: 'Audit spans taken into the queue',
        unit,
      }),
      exported: meter.createCounter('kest.audit.spans.exported', {
        description: 'Audit spans that reached their destination',
        unit,
      }),
      dropped: meter.createCounter('kest.audit.spans.dropped', {
        description: 'Audit spans that were lost',
        unit,
      }),
      failures: meter.createCounter('kest.audit.export.failures', {
        description: 'Attempts to export that failed and are made again',
      }),
    }
  }
}
