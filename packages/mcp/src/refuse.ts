import { toError, toProblem } from '@kest/core'
import type { Transport } from './message.js'
import { NotARequest } from './meta.js'

/** JSON-RPC: of those that it leaves to servers, and its own for what is no request. */
const REFUSED = -32003
const INVALID_PARAMS = -32602

/** Answers what is refused. The caller learns a code; the operator has learned the reason by then. */
export async function refuse(transport: Transport, id: unknown, why: unknown): Promise<void> {
  const { title, code } = toProblem(why).body
  const error =
    why instanceof NotARequest
      ? { code: INVALID_PARAMS, message: 'Invalid params' }
      : { code: REFUSED, message: title, data: { code } }
  try {
    await transport.send({ jsonrpc: '2.0', id, error })
  } catch (failed) {
    // Nobody is there to be told.
    transport.onerror?.(toError(failed))
  }
}
