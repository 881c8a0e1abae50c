import { RECEIPT_HEADER } from '@kest/core'
import { isRecord, type Message } from './message.js'

/** An answer without receipts, and what it said of any. */
export interface TakenAnswer {
  /** The very same one, where it had none. */
  readonly message: Message
  readonly values: readonly string[]
}

/** Takes receipts out of an answer: out of the `_meta` of a result, or out of the `data` of an error (K-RECEIPT). */
export function takeReceipt(message: Message): TakenAnswer {
  const [member, key] = placeOf(message)
  const holder = message[member]
  const values = isRecord(holder) ? holder[key] : undefined
  if (!isRecord(holder) || !isRecord(values)) return { message, values: [] }
  const own = Object.keys(values).filter(isOurs)
  if (own.length === 0) return { message, values: [] }
  const rest = Object.fromEntries(Object.entries(values).filter(([name]) => !isOurs(name)))
  return {
    message: { ...message, [member]: { ...holder, [key]: rest } },
    // Whatever is no text is none that holds.
    values: own.map((name) => (typeof values[name] === 'string' ? (values[name] as string) : '')),
  }
}

/** An answer with this receipt, and no other; an error whose data is no object, and a result that is none, have no place for one. */
export function withReceipt(answer: Message, receipt: string | null): Message {
  const { message } = takeReceipt(answer)
  if (receipt === null) return message
  const [member, key] = placeOf(message)
  const holder = message[member]
  if (!isRecord(holder)) return message
  const beside = holder[key] ?? {}
  if (!isRecord(beside)) return message
  return { ...message, [member]: { ...holder, [key]: { ...beside, [RECEIPT_HEADER]: receipt } } }
}

function isOurs(name: string): boolean {
  return name.length === RECEIPT_HEADER.length && name.toLowerCase() === RECEIPT_HEADER
}

function placeOf(message: Message): readonly ['error', 'data'] | readonly ['result', '_meta'] {
  return Object.hasOwn(message, 'error') ? ['error', 'data'] : ['result', '_meta']
}
