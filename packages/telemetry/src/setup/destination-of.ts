import { ConsoleDestination } from '../destinations/console/console-destination.js'
import type { Destination } from '../destinations/destination.js'
import { FileDestination } from '../destinations/file/file-destination.js'
import { OtlpDestination } from '../destinations/otlp/otlp-destination.js'
import { otlpSettings } from '../destinations/otlp/otlp-settings.js'
import { SpanExporterDestination } from '../destinations/span-exporter-destination.js'
import { SqliteDestination } from '../destinations/sqlite/sqlite-destination.js'
import type { ResolvedOptions } from './resolve-options.js'

/** How long an exporter of somebody else's may take; OpenTelemetry's own bound. */
const EXPORT_MS = 30_000

/** @throws {KestConfigError} when the destination cannot be what was asked for */
export function destinationOf(
  options: ResolvedOptions,
  service: string,
  env: NodeJS.ProcessEnv,
): Destination {
  const { exporter, endpoint = '', fsync, rotateBytes, rotateMs, logger } = options
  switch (exporter) {
    case 'otlp': {
      const { headers, timeoutMs, protocol } = options
      return new OtlpDestination(
        otlpSettings({ endpoint: options.endpoint, headers, timeoutMs, protocol }, env),
      )
    }
    case 'file':
      return new FileDestination({ folder: endpoint, service, fsync, rotateBytes, rotateMs, logger })
    case 'sqlite':
      return new SqliteDestination({ file: endpoint, fsync, logger })
    case 'console':
      return new ConsoleDestination()
    default:
      return new SpanExporterDestination(exporter.constructor.name, exporter, EXPORT_MS)
  }
}
