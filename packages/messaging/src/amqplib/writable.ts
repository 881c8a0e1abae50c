import { types } from 'node:util'

type Headers = Readonly<Record<string, unknown>>

/** amqplib encodes headers into 64 KiB, and reads those that are larger. */
const MAX_BYTES = 48 * 1024
const MAX_NAME_BYTES = 255
const MAX_DEPTH = 32
const MAX_LIST = 1_000
const NEVER = Number.POSITIVE_INFINITY
/** By these RabbitMQ hands a message to further queues. */
const ROUTING: ReadonlyMap<string, string> = new Map([
  ['CC', 'kest-cc'],
  ['BCC', 'kest-bcc'],
])

/** What a message has beside its body. */
export interface Properties {
  readonly headers?: Headers | undefined
  readonly [name: string]: unknown
}

/**
 * What was read, as far as it can be written again: what a sender has written must not keep a letter from being put away, nor have
 * the broker deliver it to further queues. The headers `CC` and `BCC` are called `kest-cc` and `kest-bcc`; names of what is left out
 * are in `kest-left-out`.
 */
export function writable({ headers = {}, ...properties }: Properties): Properties {
  const leftOut: string[] = []
  const kept: [name: string, value: unknown][] = []
  let room = MAX_BYTES
  for (const [name, value] of Object.entries(headers)) {
    const bytes = sizeOfMember(name, value)
    if (bytes > room) leftOut.push(name)
    else {
      room -= bytes
      kept.push([ROUTING.get(name) ?? name, value])
    }
  }
  const own = Object.entries(properties).filter(([name, value]) => {
    if (canBeProperty(value)) return true
    leftOut.push(name)
    return false
  })
  if (leftOut.length > 0) kept.push(['kest-left-out', leftOut.join(',').slice(0, MAX_LIST)])
  return { ...Object.fromEntries(own), headers: Object.fromEntries(kept) }
}

function canBeProperty(value: unknown): boolean {
  if (typeof value === 'number') return Number.isSafeInteger(value)
  return typeof value !== 'string' || Buffer.byteLength(value) <= MAX_NAME_BYTES
}

function sizeOfMember(name: string, value: unknown, depth = 0): number {
  const length = Buffer.byteLength(name)
  return length > MAX_NAME_BYTES ? NEVER : 1 + length + sizeOf(value, depth)
}

/** Bytes at most; without end for what amqplib reads and cannot write. */
function sizeOf(value: unknown, depth: number): number {
  if (typeof value === 'string') return 5 + Buffer.byteLength(value)
  if (typeof value === 'number') return isWritableNumber(value) ? 9 : NEVER
  if (typeof value !== 'object' || value === null) return 2
  if (types.isUint8Array(value)) return 5 + value.length
  if (depth >= MAX_DEPTH) return NEVER
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + sizeOf(item, depth + 1), 5)
  // A member of this name says of which type it is.
  if (Object.hasOwn(value, '!')) return isTyped(value as Headers) ? 9 : NEVER
  return Object.entries(value).reduce((sum, [name, item]) => sum + sizeOfMember(name, item, depth + 1), 5)
}

/** Of the others amqplib makes integers, which they are not. */
function isWritableNumber(value: number): boolean {
  return Number.isSafeInteger(value) || Math.abs(value) < 2 ** 50
}

/** What amqplib itself reads so. */
function isTyped({ '!': type, value }: Headers): boolean {
  if (type === 'timestamp') return isUnsigned(value, Number.MAX_SAFE_INTEGER)
  if (type !== 'decimal' || typeof value !== 'object' || value === null) return false
  const { places, digits } = value as Headers
  return isUnsigned(places, 255) && isUnsigned(digits, 2 ** 32 - 1)
}

function isUnsigned(value: unknown, max: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max
}
