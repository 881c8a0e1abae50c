import { type InboundHeaders, KestError } from '@kest/core'
import { isRecord, type Message } from './message.js'

/** The string map beside a message's parameters (K-CARRIER): `params._meta`. */
export interface Carrier {
  /** Its `baggage`, whichever way the key is written. Listeners take members out of it, and outbound sides put them in. */
  readonly headers: InboundHeaders
  /** The message with what is in `headers` by now. */
  message(): Message
}

const BAGGAGE = 'baggage'

/**
 * @throws {KestError} `ERR_KEST_BAGGAGE` for a `baggage` that is no text; {@link NotARequest} for parameters of another form
 */
export function carrierOf(message: Message): Carrier {
  const { params = {} } = message
  if (!isRecord(params)) throw new NotARequest('params')
  const { _meta: meta = {} } = params
  if (!isRecord(meta)) throw new NotARequest('params._meta')
  const members = Object.entries(meta)
  const lines = members.filter(([key]) => isBaggage(key)).flatMap(([, value]) => linesOf(value))
  const rest = members.filter(([key]) => !isBaggage(key))
  const headers: InboundHeaders = lines.length === 0 ? {} : { [BAGGAGE]: lines }
  const before = headers[BAGGAGE]
  return {
    headers,
    message() {
      const now = headers[BAGGAGE]
      if (now === before) return message
      const baggage = now === undefined ? [] : [[BAGGAGE, typeof now === 'string' ? now : now.join(',')]]
      return { ...message, params: { ...params, _meta: Object.fromEntries([...rest, ...baggage]) } }
    },
  }
}

/** A message whose form the protocol does not know. */
export class NotARequest extends Error {
  constructor(what: string) {
    super(`${what}: not of the protocol's form`)
  }
}

function isBaggage(key: string): boolean {
  return key.toLowerCase() === BAGGAGE
}

function linesOf(value: unknown): string[] {
  const lines: readonly unknown[] = Array.isArray(value) ? value : [value]
  return lines.map((line) => {
    if (typeof line === 'string') return line
    throw new KestError('ERR_KEST_BAGGAGE', `_meta.baggage: expected text, got ${typeof line}`)
  })
}
