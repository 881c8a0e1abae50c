import { types } from 'node:util'
import type { HeaderValue, MessageBody } from '@kest/core'
import { KestConfigError } from '@kest/core'
import type { Wrapped } from '../shared/options.js'
import type { KafkaMessage, OutgoingMessage } from './types.js'

/** What a producer takes for headers: bytes, where it has no serializers; text, where it has those for text. */
export type HeaderType = 'bytes' | 'text'

/** @throws {KestConfigError} */
export function assertHeaderType(where: string, type: unknown): asserts type is HeaderType {
  if (type === 'bytes' || type === 'text') return
  throw new KestConfigError(`${where}.headers: expected "bytes" or "text", got ${String(type)}`)
}

/** Headers of a message as `kest.messages` takes them. */
export function readableHeaders({ headers, headerEntries }: KafkaMessage): Iterable<[string, HeaderValue]> {
  return [...(headerEntries ?? headers)].map(([name, value]) => [textOf(name), value as HeaderValue])
}

/** What a handler gets: it may hand on what it has read. Names and values are of the types that they had. */
export function withoutLineage(message: KafkaMessage, { messages }: Pick<Wrapped, 'messages'>): KafkaMessage {
  const { headers, headerEntries } = message
  const clean = Object.assign(Object.create(Object.getPrototypeOf(message)), message)
  clean.headers = messages.strip(new Map(headers) as Map<string, HeaderValue>)
  if (headerEntries !== undefined)
    clean.headerEntries = messages.strip(
      [...headerEntries].map(([name, value]) => [name, value]) as [string, HeaderValue][],
    )
  return clean
}

/** A copy of what is to be sent, by names. */
export function copyOf(headers: OutgoingMessage['headers']): Map<string, HeaderValue> {
  const entries: Iterable<readonly [unknown, unknown]> = types.isMap(headers)
    ? headers
    : Object.entries(headers ?? {})
  return new Map([...entries].map(([name, value]) => [textOf(name), value as HeaderValue]))
}

/** Headers as a producer takes them. */
export function writtenHeaders(
  headers: ReadonlyMap<string, HeaderValue>,
  type: HeaderType,
): Map<unknown, unknown> {
  const as = (value: unknown): unknown => {
    if (type === 'bytes') return typeof value === 'string' ? Buffer.from(value) : value
    return types.isUint8Array(value) ? Buffer.from(value).toString() : value
  }
  return new Map([...headers].map(([name, value]) => [as(name), as(value)]))
}

/**
 * The bytes that travel, as far as they can be known: what a serializer makes of an object, nobody else knows.
 * @throws {KestConfigError}
 */
export function bodyOf(where: string, value: unknown): MessageBody {
  if (value === undefined || value === null) return null
  if (typeof value === 'string' || types.isUint8Array(value)) return value
  throw new KestConfigError(
    `${where}: expected a value of bytes or text, got ${typeof value}: serialize it before`,
  )
}

function textOf(name: unknown): string {
  return types.isUint8Array(name) ? Buffer.from(name).toString() : String(name)
}
