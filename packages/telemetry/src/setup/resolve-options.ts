import { constants } from 'node:os'
import { isMainThread } from 'node:worker_threads'
import { assertOptions, KestConfigError, type Logger, stderrLogger } from '@kest/core'
import { LONGEST_TIMER_MS } from '../longest-timer.js'
import type { TelemetryOptions } from './options.js'
import { sturdyLogger } from './sturdy-logger.js'

const EXPORTERS = ['otlp', 'file', 'sqlite', 'console'] as const
const ON_OVERFLOW = ['drop', 'wait', 'deny'] as const
const FSYNC = ['always', 'interval', 'never'] as const

const UNCATCHABLE: readonly string[] = ['SIGKILL', 'SIGSTOP']

/** Which options go with which exporter only. */
const BELONGS: Readonly<Record<string, readonly string[]>> = {
  endpoint: ['otlp', 'file', 'sqlite'],
  headers: ['otlp'],
  timeoutMs: ['otlp'],
  protocol: ['otlp'],
  fsync: ['file', 'sqlite'],
  rotateBytes: ['file'],
  rotateMs: ['file'],
}

const KNOWN: ReadonlySet<string> = new Set<keyof TelemetryOptions>([
  'serviceName',
  'exporter',
  'endpoint',
  'resource',
  'headers',
  'timeoutMs',
  'protocol',
  'fsync',
  'rotateBytes',
  'rotateMs',
  'onOverflow',
  'confirm',
  'waitTimeoutMs',
  'queueSize',
  'queueBytes',
  'batchSize',
  'batchBytes',
  'exportDelayMs',
  'flushTimeoutMs',
  'flushOn',
  'passport',
  'meterProvider',
  'logger',
])

/** Options with their defaults, checked. */
export type ResolvedOptions = TelemetryOptions &
  Required<
    Pick<
      TelemetryOptions,
      | 'exporter'
      | 'fsync'
      | 'rotateBytes'
      | 'rotateMs'
      | 'onOverflow'
      | 'confirm'
      | 'waitTimeoutMs'
      | 'queueSize'
      | 'queueBytes'
      | 'batchSize'
      | 'batchBytes'
      | 'exportDelayMs'
      | 'flushTimeoutMs'
      | 'flushOn'
    >
  > & { readonly logger: Logger }

/** @throws {KestConfigError} for options that are unknown, wrong, not the exporter's, or contradict each other */
export function resolveOptions(options: TelemetryOptions): ResolvedOptions {
  assertOptions('setupTelemetry', options, KNOWN)
  const { exporter = 'otlp' } = options
  if (typeof exporter === 'string') oneOf('exporter', exporter, EXPORTERS)
  else if (typeof exporter?.export !== 'function' || typeof exporter.shutdown !== 'function') {
    throw new KestConfigError('exporter: expected a name, or an object with export() and shutdown()')
  }
  const kind = typeof exporter === 'string' ? exporter : 'an exporter of your own'
  for (const [name, kinds] of Object.entries(BELONGS)) {
    if (options[name as keyof TelemetryOptions] === undefined || kinds.includes(kind)) continue
    throw new KestConfigError(`${name}: not an option of ${kind}; it belongs to ${kinds.join(', ')}`)
  }
  if (options.endpoint === '' || ((kind === 'file' || kind === 'sqlite') && options.endpoint === undefined)) {
    throw new KestConfigError(`endpoint: expected ${kind === 'file' ? 'a folder' : 'a file'}`)
  }

  assertKinds(options)
  const { fsync = 'interval' } = options
  oneOf('fsync', fsync, FSYNC)
  const confirm = options.confirm ?? (fsync === 'always' && options.onOverflow !== 'drop')
  const onOverflow = options.onOverflow ?? (confirm ? 'wait' : 'drop')
  oneOf('onOverflow', onOverflow, ON_OVERFLOW)
  if (confirm && onOverflow === 'drop') {
    throw new KestConfigError("confirm: waits for what onOverflow: 'drop' may lose; use 'wait' or 'deny'")
  }
  const resolved = {
    ...options,
    exporter,
    fsync,
    confirm,
    onOverflow,
    rotateBytes: options.rotateBytes ?? 128 * 1024 * 1024,
    rotateMs: options.rotateMs ?? 24 * 3_600_000,
    waitTimeoutMs: options.waitTimeoutMs ?? 1_000,
    queueSize: options.queueSize ?? 8_192,
    queueBytes: options.queueBytes ?? 32 * 1024 * 1024,
    batchSize: options.batchSize ?? 512,
    batchBytes: options.batchBytes ?? 4 * 1024 * 1024,
    exportDelayMs: options.exportDelayMs ?? (confirm ? 0 : 100),
    flushTimeoutMs: options.flushTimeoutMs ?? 10_000,
    flushOn: options.flushOn ?? [],
    logger: sturdyLogger(options.logger ?? stderrLogger),
  }
  for (const name of [
    'rotateBytes',
    'rotateMs',
    'queueSize',
    'queueBytes',
    'batchSize',
    'batchBytes',
  ] as const)
    integer(name, resolved[name], 1)
  for (const name of ['waitTimeoutMs', 'flushTimeoutMs'] as const)
    integer(name, resolved[name], 1, LONGEST_TIMER_MS)
  if (options.timeoutMs !== undefined) integer('timeoutMs', options.timeoutMs, 1, LONGEST_TIMER_MS)
  integer('exportDelayMs', resolved.exportDelayMs, 0, LONGEST_TIMER_MS)
  return resolved
}

/** What decides about loss may not be taken for something else. */
function assertKinds({ confirm, passport, logger, headers, flushOn = [] }: TelemetryOptions): void {
  for (const [name, value] of Object.entries({ confirm, passport })) {
    if (value !== undefined && typeof value !== 'boolean')
      throw new KestConfigError(`${name}: expected true or false, got ${JSON.stringify(value)}`)
  }
  const levels = ['debug', 'info', 'warn', 'error'] as const
  if (logger !== undefined && levels.some((level) => typeof logger?.[level] !== 'function'))
    throw new KestConfigError(`logger: expected an object with ${levels.join(', ')}`)
  if (headers !== undefined && !isTexts(headers))
    throw new KestConfigError('headers: expected an object of strings')
  if (!Array.isArray(flushOn)) throw new KestConfigError('flushOn: expected a list of signals')
  for (const signal of flushOn) {
    if (
      typeof signal !== 'string' ||
      !Object.hasOwn(constants.signals, signal) ||
      UNCATCHABLE.includes(signal)
    )
      throw new KestConfigError(`flushOn: ${JSON.stringify(signal)} is no signal that can be listened to`)
  }
  if (flushOn.length > 0 && !isMainThread)
    throw new KestConfigError(
      'flushOn: signals reach the main thread alone; have it tell this worker to shutdown()',
    )
}

function isTexts(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((text) => typeof text === 'string')
  )
}

function oneOf(name: string, value: unknown, values: readonly string[]): void {
  if (!values.includes(value as string)) {
    throw new KestConfigError(`${name}: expected ${values.join(', ')}, got ${JSON.stringify(value)}`)
  }
}

function integer(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    throw new KestConfigError(`${name}: expected an integer from ${least} to ${most}, got ${String(value)}`)
  }
}
