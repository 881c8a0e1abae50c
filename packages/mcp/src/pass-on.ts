import { KestConfigError, runWithoutState, takeLineageOut, toError } from '@kest/core'
import { judgedState, withoutLineage } from './http-request.js'
import type { Deliver } from './intercept.js'
import { isRequest, type Message, type MessageExtra, type Transport } from './message.js'
import { carrierOf } from './meta.js'
import { isCall } from './methods.js'
import { refuse } from './refuse.js'

/**
 * Hands on what needs no policy. It brings no lineage to anybody, either, and is handled in nobody's state.
 * @returns whether it was; what was not is refused
 */
export function passOn(
  message: Message,
  extra: MessageExtra | undefined,
  deliver: Deliver,
  transport: Transport,
): boolean {
  let clean: Message
  try {
    clean = cleaned(message)
  } catch (error) {
    if (isRequest(message)) void refuse(transport, message['id'], error)
    else transport.onerror?.(toError(error))
    return false
  }
  const handOn = () => deliver(clean, withoutLineage(extra))
  if (judgedState(extra) === null) runWithoutState(handOn)
  else handOn()
  return true
}

/** @throws {KestError} for what must not be handed on */
function cleaned(message: Message): Message {
  const method = message?.['method']
  if (typeof method !== 'string') return message
  if (isCall(method) && !isRequest(message))
    throw new KestConfigError(`${method}: a notification that looks like a call was not handed on (K-MCP)`)
  const carrier = carrierOf(message)
  takeLineageOut(carrier.headers)
  return carrier.message()
}
