import { KestError } from '@kest/core'
import type { SqsAttributes } from './types.js'

export const SCHEME = 'sqs'

/** What SQS takes beside a body. */
export const MAX_ATTRIBUTES = 10

const BAGGAGE = 'baggage'

type Headers = Record<string, string | Uint8Array | undefined>

/** Attributes as headers. */
export function headersOf(attributes: SqsAttributes = {}): Headers {
  const named = Object.entries(attributes).map(
    ([name, { StringValue, BinaryValue }]) => [name, StringValue ?? BinaryValue] as const,
  )
  return Object.fromEntries(named)
}

/** The attributes with `baggage` as it is in the headers. */
export function withBaggage(attributes: SqsAttributes = {}, headers: Headers): SqsAttributes {
  const others = Object.entries(attributes).filter(([name]) => !isBaggage(name))
  const value = Object.entries(headers).find(([name]) => isBaggage(name))?.[1]
  if (value === undefined) return Object.fromEntries(others)
  if (others.length >= MAX_ATTRIBUTES)
    throw new KestError(
      'ERR_KEST_TOO_LARGE',
      `SQS takes ${MAX_ATTRIBUTES} attributes of a message, and the passport needs one: there are ${others.length} others`,
    )
  const baggage = { DataType: 'String', StringValue: String(value) }
  return Object.fromEntries([...others, [BAGGAGE, baggage]])
}

/**
 * What both ends call a queue: account and name, which its URL ends with. The same name in another account is another queue.
 * @example `queueOf('https://sqs.eu-west-1.amazonaws.com/123456789012/payments') // ['123456789012', 'payments']`
 */
export function queueOf(queueUrl: string | undefined): readonly string[] {
  if (queueUrl === undefined || !URL.canParse(queueUrl)) return [queueUrl ?? '']
  return new URL(queueUrl).pathname.split('/').filter(Boolean).map(decodeURIComponent)
}

function isBaggage(name: string): boolean {
  return name.toLowerCase() === BAGGAGE
}
