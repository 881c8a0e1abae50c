import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base'

type Answer = (result: ExportResult) => void

/** An exporter that answers when, and what, the test says. */
export class HeldExporter implements SpanExporter {
  /** Batches that were given to it, in order. */
  readonly batches: ReadableSpan[][] = []
  #open = false
  #waiting: Answer[] = []

  export(spans: ReadableSpan[], done: Answer): void {
    this.batches.push(spans)
    if (this.#open) done({ code: ExportResultCode.SUCCESS })
    else this.#waiting.push(done)
  }

  /** What is under way fails. */
  fail(message: string): void {
    this.#answer({ code: ExportResultCode.FAILED, error: new Error(message) })
  }

  /** What is under way has succeeded. */
  succeed(): void {
    this.#answer({ code: ExportResultCode.SUCCESS })
  }

  /** From now on all succeeds at once. */
  open(): void {
    this.#open = true
    this.succeed()
  }

  get underWay(): number {
    return this.#waiting.length
  }

  async shutdown(): Promise<void> {}

  #answer(result: ExportResult): void {
    for (const done of this.#waiting.splice(0)) done(result)
  }
}
