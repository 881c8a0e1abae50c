import type { ExportResult, ReadableSpan, SpanExporter } from '../spans/readable-span.js'
import { type Destination, unwritable } from './destination.js'

/** Any OpenTelemetry exporter as a destination. An answer that does not come is a failure. */
export class SpanExporterDestination implements Destination {
  readonly name: string
  readonly #exporter: SpanExporter
  readonly #timeoutMs: number

  constructor(name: string, exporter: SpanExporter, timeoutMs: number) {
    this.name = name
    this.#exporter = exporter
    this.#timeoutMs = timeoutMs
  }

  async write(spans: readonly ReadableSpan[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        const late = () => reject(new Error(`the exporter did not answer within ${this.#timeoutMs} ms`))
        timer = setTimeout(late, this.#timeoutMs)
        this.#exporter.export([...spans], ({ code, error }: ExportResult) => {
          if (code === 0) resolve()
          else reject(error ?? new Error('the exporter failed and does not say why'))
        })
      })
    } catch (error) {
      // What V8 throws for a string that would be too long.
      throw error instanceof RangeError ? unwritable(error) : error
    } finally {
      clearTimeout(timer)
    }
  }

  close(): Promise<void> {
    return this.#exporter.shutdown()
  }
}
