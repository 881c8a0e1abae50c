import { UsageError } from './usage-error.js'

/** @throws {UsageError} for anything but 32 hex digits */
export function parseTraceId(value: string): string {
  if (/^[0-9a-fA-F]{32}$/.test(value)) return value.toLowerCase()
  throw new UsageError(`--trace: expected 32 hex digits, got "${value}"`)
}
