import type { Logger } from '@kest/core'
import type { Attributes, MeterProvider } from '@opentelemetry/api'
import type { FsyncPolicy } from '../destinations/fsync-policy.js'
import type { OtlpProtocol } from '../destinations/otlp/otlp-settings.js'
import type { SpanExporter } from '../spans/readable-span.js'

/** Where audit spans go, and what happens when they cannot. */
export interface TelemetryOptions {
  /** `service.name` (NF-OBS-02). Default: `OTEL_SERVICE_NAME`, or the one in `OTEL_RESOURCE_ATTRIBUTES`; required. */
  readonly serviceName?: string
  /** Default `otlp`. An OpenTelemetry exporter of one's own (gRPC, a vendor's) does as well. */
  readonly exporter?: 'otlp' | 'file' | 'sqlite' | 'console' | SpanExporter
  /**
   * `otlp`: a URL; without a path `/v1/traces` is added. Default: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, then
   * `OTEL_EXPORTER_OTLP_ENDPOINT`, then `http://localhost:4318`. `file`: a folder; `sqlite`: a file; both required.
   */
  readonly endpoint?: string
  /** More attributes of the resource, over those of `OTEL_RESOURCE_ATTRIBUTES`. */
  readonly resource?: Attributes

  /** `otlp`: beside those of `OTEL_EXPORTER_OTLP_HEADERS`. */
  readonly headers?: Readonly<Record<string, string>>
  /** `otlp`: for one attempt, milliseconds, up to 2,147,483,647. Default: `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT`, then
   * `OTEL_EXPORTER_OTLP_TIMEOUT`, then 10,000. */
  readonly timeoutMs?: number
  /** `otlp`. Default: `OTEL_EXPORTER_OTLP_PROTOCOL`, then `http/json`. */
  readonly protocol?: OtlpProtocol

  /** `file` and `sqlite`: when what is written is forced to the disk. Default `interval`. */
  readonly fsync?: FsyncPolicy
  /** `file`: how large one may become, bytes. Default 134,217,728. */
  readonly rotateBytes?: number
  /** `file`: how old one may become, milliseconds. Default 86,400,000. */
  readonly rotateMs?: number

  /**
   * What happens to an operation when the queue is full. `drop`: it runs, its record is lost, and that is counted and
   * reported. `wait`: it waits for room, then is refused. `deny`: it is refused (`ERR_KEST_AUDIT_UNAVAILABLE`) before
   * anything is signed. Default `drop`; with `confirm`, `wait`.
   */
  readonly onOverflow?: 'drop' | 'wait' | 'deny'
  /**
   * Whether an operation runs only when its record has been exported: is in the file, or was accepted by the Collector.
   * Default: with `fsync: 'always'`, unless `onOverflow` is `drop`; otherwise not.
   */
  readonly confirm?: boolean
  /** How long an operation waits for room, and again for confirmation, milliseconds. Default 1,000. */
  readonly waitTimeoutMs?: number
  /** Spans that may wait for export. Default 8,192. */
  readonly queueSize?: number
  /** The memory that they may take, bytes. Default 33,554,432 (32 MiB). */
  readonly queueBytes?: number
  /** Spans exported at once. Default 512. */
  readonly batchSize?: number
  /** The memory that spans exported at once may take, bytes; a larger span goes alone. Default 4,194,304 (4 MiB). */
  readonly batchBytes?: number
  /** How long a span waits for others to join its batch, milliseconds. Default 100; with `confirm`, 0. */
  readonly exportDelayMs?: number

  /** How long a flush may take, also the last one, milliseconds. Default 10,000. */
  readonly flushTimeoutMs?: number
  /**
   * Signals, such as `SIGTERM`, at which what is queued is exported before the process ends. In the main thread alone: no
   * signal reaches a worker. Default: none.
   */
  readonly flushOn?: readonly NodeJS.Signals[]

  /** Whether audit spans show the whole passport (`kest.passport`). Default `true`. */
  readonly passport?: boolean
  /** For the trail's own metrics and Kest's. Default: OpenTelemetry's global one. */
  readonly meterProvider?: MeterProvider
  /** Default: warnings and errors, one line of JSON each, to stderr. */
  readonly logger?: Logger
}
