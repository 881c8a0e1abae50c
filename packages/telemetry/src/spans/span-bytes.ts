import type { Attributes } from '@opentelemetry/api'
import type { ReadableSpan } from './readable-span.js'

/** What a span costs besides its texts: measured, objects and lists together. */
const OVERHEAD_BYTES = 1_024

/**
 * How much of the memory a span takes: its texts in UTF-8, and what holds them. A text with characters beyond Latin-1 may
 * take twice as much in memory.
 */
export function spanBytes({ name, status, attributes, events, links }: ReadableSpan): number {
  let bytes = OVERHEAD_BYTES + textBytes(name) + textBytes(status.message ?? '') + bytesOf(attributes)
  for (const event of events) bytes += textBytes(event.name) + bytesOf(event.attributes)
  for (const link of links) bytes += OVERHEAD_BYTES + bytesOf(link.attributes)
  return bytes
}

function bytesOf(attributes: Attributes = {}): number {
  let bytes = 0
  for (const [key, value] of Object.entries(attributes)) {
    bytes += textBytes(key) + (Array.isArray(value) ? value.reduce<number>(added, 0) : valueBytes(value))
  }
  return bytes
}

function added(sum: number, value: unknown): number {
  return sum + valueBytes(value)
}

function valueBytes(value: unknown): number {
  return typeof value === 'string' ? textBytes(value) : 16
}

function textBytes(text: string): number {
  return Buffer.byteLength(text)
}
