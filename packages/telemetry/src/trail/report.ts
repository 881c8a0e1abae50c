import type { Logger } from '@kest/core'
import { NotNowError } from '../destinations/destination.js'
import type { LossReason, TrailMetrics } from './metrics.js'

/** At most one line of a kind in this time; what happened in between is in the next one. */
const INTERVAL_MS = 10_000

/** What became of the spans: counted here, in metrics and, when something is wrong, in the log. */
export interface TrailCounts {
  readonly accepted: number
  readonly exported: number
  readonly dropped: Readonly<Record<LossReason, number>>
}

/** Tells the operator, at once when it begins and then in measured steps: losses are never silent, nor a flood. */
export class TrailReport {
  readonly #destination: string
  readonly #metrics: TrailMetrics
  readonly #logger: Logger
  #accepted = 0
  #exported = 0
  readonly #dropped: Record<LossReason, number> = {
    overflow: 0,
    denial: 0,
    refused: 0,
    unwritable: 0,
    shutdown: 0,
  }
  #untold: Partial<Record<LossReason, number>> = {}
  #lastCause: unknown
  #losses: NodeJS.Timeout | null = null
  #closed = false
  #failing: { readonly since: number; told: number } | null = null

  constructor(destination: string, metrics: TrailMetrics, logger: Logger) {
    this.#destination = destination
    this.#metrics = metrics
    this.#logger = logger
  }

  get counts(): TrailCounts {
    return { accepted: this.#accepted, exported: this.#exported, dropped: { ...this.#dropped } }
  }

  accepted(): void {
    this.#accepted += 1
    this.#metrics.accepted()
  }

  exported(count: number): void {
    this.#exported += count
    this.#metrics.exported(count)
    if (this.#failing === null) return
    const seconds = Math.round((Date.now() - this.#failing.since) / 1000)
    this.#failing = null
    this.#logger.warn({ destination: this.#destination, seconds }, 'audit spans are exported again')
  }

  /** An attempt failed and will be made again. */
  failed(cause: unknown, waiting: number): void {
    this.#metrics.exportFailed()
    const now = Date.now()
    this.#failing ??= { since: now, told: Number.NEGATIVE_INFINITY }
    if (now - this.#failing.told < INTERVAL_MS) return
    this.#failing.told = now
    this.#logger.error(
      {
        destination: this.#destination,
        waiting,
        ...detailsOf(cause),
        err: messageOf(cause),
        remedy: 'look whether the destination runs, is the one that was meant, and has room',
      },
      'audit spans cannot be exported; they are kept and tried again',
    )
  }

  /** Spans are gone for good. */
  dropped(count: number, reason: LossReason, cause?: unknown): void {
    this.#dropped[reason] += count
    this.#metrics.dropped(count, reason)
    this.#untold[reason] = (this.#untold[reason] ?? 0) + count
    this.#lastCause = cause
    if (this.#losses !== null) return
    this.#tellLosses()
    // Nobody waits for a later line when all has ended, nor does the process.
    if (this.#closed) return
    this.#losses = setTimeout(this.#tellLosses, INTERVAL_MS).unref()
    process.once('exit', this.#tellLosses)
  }

  /** Nothing stays untold, also of what is lost later. */
  close(): void {
    this.#closed = true
    this.#tellLosses()
  }

  readonly #tellLosses = (): void => {
    if (this.#losses !== null) clearTimeout(this.#losses)
    this.#losses = null
    process.off('exit', this.#tellLosses)
    const lost = this.#untold
    if (Object.keys(lost).length === 0) return
    this.#untold = {}
    this.#logger.error(
      {
        destination: this.#destination,
        lost,
        lost_in_all: Object.values(this.#dropped).reduce((sum, count) => sum + count),
        ...(this.#lastCause === undefined ? {} : { err: messageOf(this.#lastCause) }),
      },
      'audit spans were lost',
    )
  }
}

function detailsOf(cause: unknown): object {
  if (!(cause instanceof NotNowError)) return {}
  const { status, retryAfterMs } = cause
  return { status, ...(retryAfterMs === null ? {} : { retry_after_ms: retryAfterMs }) }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
