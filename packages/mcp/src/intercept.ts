import { withReceipt } from './answered-receipt.js'
import { answeredId, isFailure, type Message, type MessageExtra, type Transport } from './message.js'
import { isRefusal } from './refuse.js'

/** Hands a message to the SDK. */
export type Deliver = (message: Message, extra?: MessageExtra) => void

/** What stands between a transport and the SDK. */
export interface Interceptor {
  /** A message has come. The SDK has none that it is not handed. */
  received(message: Message, extra: MessageExtra | undefined, deliver: Deliver): void
  /** The receipt of what is about to be answered; `null`: there is none (K-RECEIPT). */
  receiptOf(id: string | number): string | null
  /** What was handed on is answered, by a failure or otherwise. */
  answered(id: string | number, isFailure: boolean): void
  closed(): void
}

/**
 * Stands between a transport and whatever is connected to it: from its start on, before the first message can come. The transport is the
 * one that it was, as the SDK knows its own by their class.
 *
 * @returns for who connects a transport that was started before: to be called when the SDK has taken it over
 */
export function intercept(transport: Transport, interceptor: Interceptor): () => void {
  let received: Transport['onmessage']
  let closed: Transport['onclose']
  const { start, send } = transport

  function stand(): void {
    const { onmessage: deliver, onclose } = transport
    if (deliver !== undefined && deliver !== received) {
      received = (message, extra) =>
        interceptor.received(message, extra, (...args) => deliver.apply(transport, args))
      transport.onmessage = received
    }
    if (onclose !== closed || closed === undefined) {
      closed = () => {
        interceptor.closed()
        onclose?.call(transport)
      }
      transport.onclose = closed
    }
  }

  transport.start = async () => {
    transport.start = start
    stand()
    await start.call(transport)
  }
  transport.send = async (message, ...options) => {
    const id = isRefusal(message) ? null : answeredId(message)
    const own = id === null ? message : withReceipt(message, interceptor.receiptOf(id))
    try {
      await send.call(transport, own, ...options)
    } finally {
      if (id !== null) interceptor.answered(id, isFailure(message))
    }
  }
  return stand
}
