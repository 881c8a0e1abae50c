import { AsyncResource } from 'node:async_hooks'
import { setTimeout as after } from 'node:timers/promises'
import { KestError } from '@kest/core'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { type Destination, NotNowError, SpansRefusedError } from '../destinations/destination.js'
import type { ReadableSpan } from '../spans/readable-span.js'
import { suppressTracing } from '../spans/suppress-tracing.js'
import { Alarm } from './alarm.js'
import type { Backoff } from './backoff.js'
import type { QueueBounds, SpanQueue } from './queue.js'
import type { TrailReport } from './report.js'
import { Waiting } from './waiting.js'

/** The longest pause while a flush waits: its time is short, and the destination may be back, milliseconds. */
const FLUSH_PAUSE_MS = 500
/** While an operation waits for its record, it is refused until the destination is tried again: no pause is longer than this one. */
const AWAITED_PAUSE = 3

/** What an {@link ExportLoop} works with. */
export interface ExportLoopParts {
  readonly queue: SpanQueue
  readonly destination: Destination
  readonly report: TrailReport
  readonly batch: QueueBounds
  /** How long a span waits for others to join its batch, milliseconds. */
  readonly delayMs: number
  readonly backoff: Backoff
}

/**
 * Brings what is in the queue to the destination, batch by batch, in order. A batch that fails is tried again until it
 * succeeds, is refused, or the trail is shut down: only then is a span lost that was in the queue. While one batch is
 * under way the next one gathers, so that slow writes are shared.
 */
export class ExportLoop {
  readonly #parts: ExportLoopParts
  readonly #alarm = new Alarm()
  /** Not in the context of the request that happened to start it: neither its tracing nor its memory. */
  readonly #scope = new AsyncResource('kest.audit')
  #running = false
  /** Of the destination, in a row. */
  #failures = 0
  /** Flushes that are waited for: when each of them is late, by the monotonic clock. */
  readonly #flushes = new Set<{ readonly deadline: number }>()
  /** Until when the destination asked to be left alone, by the monotonic clock. */
  #notBefore = 0
  #abandoned = false

  constructor(parts: ExportLoopParts) {
    this.#parts = parts
  }

  /** There is something in the queue. */
  wake(): void {
    if (this.#running) {
      if (this.#failures === 0 && this.#parts.queue.fills(this.#parts.batch)) this.#alarm.ring()
      return
    }
    this.#running = true
    // It catches everything itself.
    void this.#scope.runInAsyncScope(() => context.with(suppressTracing(ROOT_CONTEXT), () => this.#run()))
  }

  /**
   * Exports what is in the queue now, at once.
   * @throws {KestError} `ERR_KEST_AUDIT_UNAVAILABLE` when that takes too long, or some of it is lost
   */
  async flush(timeoutMs: number): Promise<void> {
    const { queue } = this.#parts
    if (queue.size === 0) return
    const late = () =>
      new KestError(
        'ERR_KEST_AUDIT_UNAVAILABLE',
        `${queue.size} audit spans not exported within ${timeoutMs} ms`,
      )
    const waiting = new Waiting({ timeoutMs, signal: null }, late, late, () => queue.forget(waiting))
    queue.awaitSpan(queue.last, waiting)
    const flush = { deadline: performance.now() + timeoutMs }
    this.#flushes.add(flush)
    this.#alarm.ring()
    try {
      await waiting.done
    } finally {
      this.#flushes.delete(flush)
    }
  }

  /** Flushes, gives up what is left then, and closes the destination. */
  async close(timeoutMs: number): Promise<void> {
    const { queue, report, destination } = this.#parts
    const deadline = performance.now() + timeoutMs
    try {
      await this.flush(timeoutMs)
    } catch (error) {
      if (queue.size > 0) report.dropped(queue.size, 'shutdown', error)
      this.#abandoned = true
      queue.leave(queue.size, error as Error)
      throw error
    } finally {
      this.#abandoned = true
      this.#alarm.ring()
      report.close()
      const slow = after(Math.max(100, deadline - performance.now()), undefined, { ref: false })
      await Promise.race([destination.close(), slow])
    }
  }

  async #run(): Promise<void> {
    const { queue, batch, report } = this.#parts
    try {
      while (queue.size > 0) {
        await this.#rest()
        if (this.#abandoned) return
        try {
          await this.#export(queue.first(batch))
          this.#failures = 0
        } catch (error) {
          if (this.#abandoned) return
          this.#failures += 1
          this.#notBefore = error instanceof NotNowError ? performance.now() + (error.retryAfterMs ?? 0) : 0
          report.failed(error, queue.size)
        }
      }
    } finally {
      this.#running = false
    }
  }

  /**
   * What cuts a rest short does not cut short the time that the destination asked for. A long one is looked at now and then: whether
   * somebody waits who was not there when it began.
   */
  async #rest(): Promise<void> {
    const { queue, backoff } = this.#parts
    for (let pause = this.#pause(); ; ) {
      const slice = this.#failures === 0 ? pause : Math.min(pause, backoff(AWAITED_PAUSE))
      const rang = await this.#alarm.sleep(slice)
      const left = rang || queue.isAwaited ? 0 : pause - slice
      pause = Math.max(left, this.#asked())
      if (pause === 0 || this.#abandoned) return
    }
  }

  /** Never none at all: a span that ends costs its operation nothing but its place in the queue. */
  #pause(): number {
    const { queue, batch, delayMs, backoff } = this.#parts
    const flushing = this.#flushes.size > 0
    if (this.#failures === 0) return flushing || queue.fills(batch) ? 0 : delayMs
    const pause = backoff(this.#failures)
    return Math.max(this.#asked(), flushing ? Math.min(pause, FLUSH_PAUSE_MS) : pause)
  }

  /** What is left of the time that the destination asked for; nothing, where a flush would be late by it. */
  #asked(): number {
    const late = [...this.#flushes].some(({ deadline }) => deadline <= this.#notBefore)
    return late ? 0 : Math.max(0, this.#notBefore - performance.now())
  }

  async #export(batch: readonly ReadableSpan[]): Promise<void> {
    const { destination, queue, report } = this.#parts
    try {
      await destination.write(batch)
      if (this.#abandoned) return
      report.exported(batch.length)
      queue.leave(batch.length)
    } catch (error) {
      if (!(error instanceof SpansRefusedError) || this.#abandoned) throw error
      if (error.refused === null && batch.length > 1) {
        // One of them may be the reason.
        const half = batch.length >> 1
        await this.#export(batch.slice(0, half))
        await this.#export(batch.slice(half))
        return
      }
      const refused = Math.min(error.refused ?? 1, batch.length)
      report.dropped(refused, error.reason, error)
      if (refused < batch.length) report.exported(batch.length - refused)
      queue.leave(batch.length, lost(error))
    }
  }
}

function lost(cause: SpansRefusedError): KestError {
  const what =
    cause.reason === 'refused'
      ? 'the destination of the audit trail refused spans'
      : 'a span cannot be written to the audit trail'
  return new KestError('ERR_KEST_AUDIT_UNAVAILABLE', what, { cause })
}
