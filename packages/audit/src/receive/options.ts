import { assertOptions, KestConfigError } from '@kest/core'

/** How an {@link OtlpReceiver} is made. */
export interface OtlpReceiverOptions {
  /** Address to listen on. Default `127.0.0.1`: whoever reaches it can add spans, which prove nothing, and fill the disk. */
  readonly host?: string
  /** Default 4318, as OTLP/HTTP has it; 0 for any that is free. */
  readonly port?: number
  /** Bytes of a request, before and after it is uncompressed. Default 20,971,520, as the Collector takes. */
  readonly maxBodyBytes?: number
  /**
   * Bytes of the bodies that wait to be taken, and as many of those that have not come whole yet; more are told to come again.
   * At least `maxBodyBytes`. Default four times that.
   */
  readonly maxPendingBytes?: number
  /** Milliseconds in which a request must have come whole, after the first five seconds never slower than 4,096 bytes a second. Default 30,000. */
  readonly requestTimeoutMs?: number
}

const MOST = 2 ** 31 - 1
const DEFAULTS = {
  host: '127.0.0.1',
  port: 4318,
  maxBodyBytes: 20_971_520,
  requestTimeoutMs: 30_000,
} as const satisfies OtlpReceiverOptions
const PENDING_BODIES = 4

/** @throws {KestConfigError} for options that are unknown or wrong */
export function resolveOptions(options: OtlpReceiverOptions): Required<OtlpReceiverOptions> {
  assertOptions('OtlpReceiver', options, [...Object.keys(DEFAULTS), 'maxPendingBytes'])
  const given = { ...DEFAULTS, ...options }
  const all = { maxPendingBytes: Math.min(PENDING_BODIES * given.maxBodyBytes, MOST), ...given }
  if (typeof all.host !== 'string' || all.host === '')
    throw new KestConfigError('OtlpReceiver: host: expected an address')
  integer('port', all.port, 0, 65_535)
  for (const name of ['maxBodyBytes', 'requestTimeoutMs'] as const) integer(name, all[name], 1, MOST)
  integer('maxPendingBytes', all.maxPendingBytes, all.maxBodyBytes, MOST)
  return all
}

function integer(name: string, value: number, least: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return
  throw new KestConfigError(
    `OtlpReceiver: ${name}: expected an integer from ${least} to ${most}, got ${String(value)}`,
  )
}
