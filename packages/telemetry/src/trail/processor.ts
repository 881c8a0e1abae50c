import { ATTRIBUTE, SCOPE } from '@kest/core'
import type { ReadableSpan, SpanProcessor } from '../spans/readable-span.js'
import type { ExportLoop } from './export-loop.js'
import type { SpanQueue, SpanWorth } from './queue.js'
import type { TrailReport } from './report.js'

/** Takes audit spans when they end; others pass by. Never waits: what finds no room is lost, counted and reported. */
export class AuditSpanProcessor implements SpanProcessor {
  readonly #queue: SpanQueue
  readonly #loop: ExportLoop
  readonly #report: TrailReport
  readonly #shutdown: () => Promise<void>
  readonly #flush: () => Promise<void>
  #closed = false

  constructor(
    parts: { readonly queue: SpanQueue; readonly loop: ExportLoop; readonly report: TrailReport },
    on: { readonly flush: () => Promise<void>; readonly shutdown: () => Promise<void> },
  ) {
    this.#queue = parts.queue
    this.#loop = parts.loop
    this.#report = parts.report
    this.#flush = on.flush
    this.#shutdown = on.shutdown
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (span.instrumentationScope.name !== SCOPE) return
    const worth = worthOf(span)
    if (this.#closed) this.#report.dropped(1, 'shutdown')
    else if (!this.#queue.push(span, worth))
      this.#report.dropped(1, worth === 'entry' ? 'overflow' : 'denial')
    else {
      this.#report.accepted()
      this.#loop.wake()
    }
  }

  /** What ends from now on is lost, and reported. */
  close(): void {
    this.#closed = true
  }

  forceFlush(): Promise<void> {
    return this.#flush()
  }

  shutdown(): Promise<void> {
    return this.#shutdown()
  }
}

function worthOf({ attributes }: ReadableSpan): SpanWorth {
  if (attributes[ATTRIBUTE.decision] !== 'deny') return 'entry'
  return attributes[ATTRIBUTE.denial] === undefined ? 'report' : 'signed-denial'
}
