import { isId, isRecord, type Message, type MessageExtra, type MessageId } from './message.js'
import { NotARequest } from './meta.js'
import { nameOf, operationOf } from './methods.js'

/** A request that is to be decided: what functions among the options are given. */
export interface McpRequest {
  /** `tools/call`, `resources/read`, `prompts/get`, `sampling/createMessage`, … */
  readonly method: string
  /** Of the tool or prompt; the URI of the resource; `null` for other methods. */
  readonly name: string | null
  /** Of the tool or prompt; for other methods the parameters, without `_meta`. What the caller has sent: not checked by a schema. */
  readonly arguments: Readonly<Record<string, unknown>>
  /** Of the transport, where it has sessions. */
  readonly sessionId: string | undefined
  /** What the SDK's own authorization says of the caller, where the transport has any. */
  readonly authInfo: unknown
}

/** What is asked for, and under which name it is recorded. */
export interface Asked {
  readonly id: MessageId
  readonly operation: string
  readonly request: McpRequest
}

const MAX_METHOD = 128
const MAX_NAME = 2048
/** What ends a line, moves a cursor, or is no character. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u

/** @throws {NotARequest} for what the protocol does not know, before anybody else reads it */
export function readRequest(
  message: Message,
  extra: MessageExtra | undefined,
  sessionId: string | undefined,
): Asked {
  const { id, method, params = {} } = message
  if (!isId(id)) throw new NotARequest('id')
  if (!isName(method, MAX_METHOD)) throw new NotARequest('method')
  if (!isRecord(params)) throw new NotARequest('params')
  const name = nameOf(method, params)
  if (name !== null && !isName(name, MAX_NAME)) throw new NotARequest('name')
  return {
    id,
    operation: operationOf(method, name),
    request: Object.freeze({
      method,
      name,
      arguments: argumentsOf(params, name),
      sessionId,
      authInfo: extra?.['authInfo'],
    }),
  }
}

function argumentsOf(
  params: Readonly<Record<string, unknown>>,
  name: string | null,
): McpRequest['arguments'] {
  const { _meta, ...rest } = params
  if (name === null || !('name' in rest)) return rest
  const { arguments: given = {} } = rest
  if (!isRecord(given)) throw new NotARequest('arguments')
  return given
}

function isName(value: unknown, max: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= max && !UNPRINTABLE.test(value)
}
