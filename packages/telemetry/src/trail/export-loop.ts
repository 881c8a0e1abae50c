import { AsyncResource } from 'node:async_hooks'
import { setTimeout as after } from 'node:timers/promises'
import { KestError } from '@kest/core'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { type Destination, SpansRefusedError } from '../destinations/destination.js'
import { Alarm } from './alarm.js'
import type { Backoff } from './backoff.js'
import type { SpanQueue } from './queue.js'
import type { TrailReport } from './report.js'
import { Waiting } from './waiting.js'

/** The longest pause while a flush waits: its time is short, and the destination may be back, milliseconds. */
const FLUSH_PAUSE_MS = 500

/** What an {@link ExportLoop} works with. */
export interface ExportLoopParts {
  readonly queue: SpanQueue
  readonly destination: Destination
  readonly report: TrailReport
  readonly batchSize: number
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
  /** Flushes that are waited for. */
  #flushes = 0
  #abandoned = false

  constructor(parts: ExportLoopParts) {
    this.#parts = parts
  }

  /** There is something in the queue. */
  wake(): void {
    if (this.#running) {
      if (this.#failures === 0 && this.#parts.queue.size === this.#parts.batchSize) this.#alarm.ring()
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
    this.#flushes += 1
    this.#alarm.ring()
    try {
      await waiting.done
    } finally {
      this.#flushes -= 1
    }
  }

  /** Flushes, gives up what is left then, and closes the destination. */
  async close(timeoutMs: number): Promise<void> {
    const { queue, report, destination } = this.#parts
    const deadline = Date.now() + timeoutMs
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
      const slow = after(Math.max(100, deadline - Date.now()), undefined, { ref: false })
      await Promise.race([destination.close(), slow])
    }
  }

  async #run(): Promise<void> {
    const { queue, batchSize, report } = this.#parts
    try {
      while (queue.size > 0) {
        await this.#alarm.sleep(this.#pause())
        if (this.#abandoned) return
        try {
          await this.#export(queue.first(batchSize))
          this.#failures = 0
        } catch (error) {
          if (this.#abandoned) return
          this.#failures += 1
          report.failed(error, queue.size)
        }
      }
    } finally {
      this.#running = false
    }
  }

  /** Never none at all: a span that ends costs its operation nothing but its place in the queue. */
  #pause(): number {
    const { queue, batchSize, delayMs, backoff } = this.#parts
    if (this.#failures > 0)
      return Math.min(backoff(this.#failures), this.#flushes > 0 ? FLUSH_PAUSE_MS : Number.POSITIVE_INFINITY)
    return this.#flushes > 0 || queue.size >= batchSize ? 0 : delayMs
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
      report.dropped(refused, 'refused', error)
      if (refused < batch.length) report.exported(batch.length - refused)
      queue.leave(batch.length, lost(error))
    }
  }
}

function lost(cause: Error): KestError {
  return new KestError('ERR_KEST_AUDIT_UNAVAILABLE', 'the destination of the audit trail refused spans', {
    cause,
  })
}
