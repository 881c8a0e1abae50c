import { toError, toProblem } from '@kest/core'
import type { Message, Transport } from './message.js'
import { NotARequest } from './meta.js'

/** JSON-RPC: of those that it leaves to servers, and its own for what is no request. */
const REFUSED = -32003
const INVALID_PARAMS = -32602

/** Answers that end no call: one that is under way may have the same id. */
const refusals = new WeakSet<object>()

/** Whether an answer is that of a call that never ran. */
export function isRefusal(message: Message): boolean {
  return refusals.has(message)
}

/** The error of JSON-RPC for what is refused: a code, and nothing more. */
export function refusalOf(why: unknown): Readonly<Record<string, unknown>> {
  if (why instanceof NotARequest) return { code: INVALID_PARAMS, message: 'Invalid params' }
  const { title, code } = toProblem(why).body
  return { code: REFUSED, message: title, data: { code } }
}

/** Answers what is refused. The caller learns a code; the operator has learned the reason by then. */
export async function refuse(transport: Transport, id: unknown, why: unknown): Promise<void> {
  const answer = { jsonrpc: '2.0', id, error: refusalOf(why) }
  refusals.add(answer)
  try {
    await transport.send(answer)
  } catch (failed) {
    // Nobody is there to be told.
    transport.onerror?.(toError(failed))
  }
}
