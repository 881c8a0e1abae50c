import { OTLPExporterError } from '@opentelemetry/otlp-exporter-base'
import {
  convertLegacyHttpOptions,
  createOtlpHttpExportDelegate,
} from '@opentelemetry/otlp-exporter-base/node-http'
import {
  type IExportTraceServiceResponse,
  JsonTraceSerializer,
  ProtobufTraceSerializer,
  TraceExporterMetricsHelper,
} from '@opentelemetry/otlp-transformer'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { LONGEST_TIMER_MS } from '../../longest-timer.js'
import { type Destination, SpansRefusedError } from '../destination.js'
import { SpanExporterDestination } from '../span-exporter-destination.js'
import { parseOtlpResponse } from './otlp-response.js'
import type { OtlpSettings } from './otlp-settings.js'

const SERIALIZERS = { 'http/json': JsonTraceSerializer, 'http/protobuf': ProtobufTraceSerializer }
const CONTENT_TYPES = { 'http/json': 'application/json', 'http/protobuf': 'application/x-protobuf' }

/** Answers that judge the spans. All others are about the receiver, which may be set right. */
const REFUSALS: ReadonlySet<unknown> = new Set([400, 413, 422])

/** What the exporter's own retries may take beyond the time-out, milliseconds. */
const GRACE_MS = 5_000

/** A Collector, or whatever receives OTLP over HTTP. */
export class OtlpDestination implements Destination {
  readonly name: string
  readonly #inner: SpanExporterDestination
  /** What the receiver said of the batch under way, as far as it could be read. */
  #response: IExportTraceServiceResponse | null = null

  constructor({ url, headers, timeoutMs, protocol }: OtlpSettings) {
    const configuration = convertLegacyHttpOptions(
      {
        url,
        ...(headers === undefined ? {} : { headers: { ...headers } }),
        ...(timeoutMs === undefined ? {} : { timeoutMillis: timeoutMs }),
      },
      'TRACES',
      'v1/traces',
      { 'Content-Type': CONTENT_TYPES[protocol] },
    )
    const delegate = createOtlpHttpExportDelegate(
      configuration,
      this.#watched(SERIALIZERS[protocol]),
      'otlp_http_span_exporter',
      TraceExporterMetricsHelper,
      undefined,
    )
    const { origin, pathname } = new URL(url)
    this.name = `OTLP ${origin}${pathname}`
    const patienceMs = Math.min(configuration.timeoutMillis + GRACE_MS, LONGEST_TIMER_MS)
    this.#inner = new SpanExporterDestination(this.name, delegate, patienceMs)
  }

  async write(spans: readonly ReadableSpan[]): Promise<void> {
    this.#response = null
    try {
      await this.#inner.write(spans)
    } catch (error) {
      if (error instanceof OTLPExporterError && REFUSALS.has(error.code)) {
        throw new SpansRefusedError(`HTTP ${error.code}: ${error.data ?? error.message}`, null, {
          cause: error,
        })
      }
      throw error
    }
    const response = this.#response as IExportTraceServiceResponse | null
    if (response === null) throw new Error('the answer says success, but is none of a receiver of OTLP')
    // It may take a part and answer with success. In JSON a 64-bit integer is a string.
    const rejected = Number(response.partialSuccess?.rejectedSpans ?? 0)
    if (rejected > 0) throw new SpansRefusedError(response.partialSuccess?.errorMessage ?? '', rejected)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  #watched(serializer: typeof JsonTraceSerializer): typeof JsonTraceSerializer {
    return {
      serializeRequest: (spans) => serializer.serializeRequest(spans),
      deserializeResponse: (data) => {
        this.#response = parseOtlpResponse(data)
        return this.#response
      },
    }
  }
}
