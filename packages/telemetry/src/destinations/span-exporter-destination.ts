import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base'
import type { Destination } from './destination.js'

/** Any OpenTelemetry exporter as a destination. An answer that does not come is a failure. */
export class SpanExporterDestination implements Destination {
  readonly name: string
  readonly #exporter: Pick<SpanExporter, 'export' | 'shutdown'>
  readonly #timeoutMs: number

  constructor(name: string, exporter: Pick<SpanExporter, 'export' | 'shutdown'>, timeoutMs: number) {
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
          if (code === ExportResultCode.SUCCESS) resolve()
          else reject(error ?? new Error('the exporter failed and does not say why'))
        })
      })
    } finally {
      clearTimeout(timer)
    }
  }

  close(): Promise<void> {
    return this.#exporter.shutdown()
  }
}
