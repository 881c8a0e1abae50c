import { type AwaitedReceipt, contextOfNow, isPromise, type KestError, toError } from '@kest/core'
import { takeReceipt } from './answered-receipt.js'
import type { Interceptor } from './intercept.js'
import { isId, isRecord, type Message, type Transport } from './message.js'
import { refusalOf } from './refuse.js'

/** Of a request that has asked for a receipt, until its answer was handed on. */
export interface Waiting {
  /** Why its answer was not handed on. */
  failure: Error | null
}

interface Asked extends Waiting {
  readonly receipt: AwaitedReceipt
  readonly inContext: ReturnType<typeof contextOfNow>
  /** Where it has left by, and as what. */
  sent: { readonly transport: Transport; readonly id: Key } | null
  /** One answer counts. */
  isAnswered: boolean
}

/** As the SDK compares ids: those of its requests are numbers, and "5" is an answer to 5. */
type Key = number | string

const NAMED = /^\s*kest\.receipt=([\w-]+)\s*$/

/** The receipts that requests of one side wait for (K-RECEIPT). What names each goes along in its `baggage`. */
export class AwaitedReceipts {
  readonly #byName = new Map<string, Asked>()
  readonly #byId = new WeakMap<Transport, Map<Key, Asked>>()

  /** In whose context it is asked. {@link forget} it when the request has settled. */
  ask(receipt: AwaitedReceipt): Waiting {
    const asked: Asked = { receipt, inContext: contextOfNow(), sent: null, isAnswered: false, failure: null }
    this.#byName.set(receipt.nonce, asked)
    return asked
  }

  forget({ nonce }: AwaitedReceipt): void {
    const sent = this.#byName.get(nonce)?.sent
    this.#byName.delete(nonce)
    if (sent) this.#byId.get(sent.transport)?.delete(sent.id)
  }

  /** Stands where requests leave: only there they have an id. */
  watch(transport: Transport): void {
    const { send } = transport
    transport.send = async (message, ...options) => {
      await send.call(transport, this.#leaves(message, transport), ...options)
    }
  }

  /** Stands where answers come: each is held until its receipt was looked at, and nobody sees it. */
  around(transport: Transport, interceptor: Interceptor): Interceptor {
    return {
      ...interceptor,
      received: (message, extra, deliver) =>
        this.#take(message, transport, (clean) => interceptor.received(clean, extra, deliver)),
    }
  }

  /** @throws {KestError} `ERR_KEST_RECEIPT` where there must be one, and none can be asked for */
  #leaves(message: Message, transport: Transport): Message {
    const asked = this.#byName.get(nonceIn(message) ?? '')
    const { id } = message
    if (asked === undefined || !isId(id)) return message
    const key = keyOf(id)
    if (asked.sent === null) {
      const known = this.#byId.get(transport) ?? new Map<Key, Asked>()
      this.#byId.set(transport, known.set(key, asked))
      asked.sent = { transport, id: key }
    } else if (asked.sent.id !== key) {
      // The SDK asks anew by itself, with what the server wanted to know, and the name is used up.
      try {
        asked.receipt.unavailable('a call that is made again for what its answer has asked for')
      } catch (error) {
        asked.failure = toError(error)
        throw error
      }
      return withoutNonce(message)
    }
    return message
  }

  #take(given: Message, transport: Transport, handOn: (message: Message) => void): void {
    if (!isAnswer(given)) {
      handOn(given)
      return
    }
    const { message, values } = takeReceipt(given)
    const { id } = given
    const asked = this.#byId.get(transport)?.get(keyOf(id))
    if (asked === undefined) {
      handOn(message)
      return
    }
    // Whatever comes after the first has no receipt that could be looked at.
    if (asked.isAnswered) return
    asked.isAnswered = true
    const refuse = (error: unknown): void => {
      asked.failure = toError(error)
      handOn({ jsonrpc: '2.0', id, error: refusalOf(error) })
    }
    try {
      const looking = asked.inContext(() => asked.receipt.arrived(values))
      if (isPromise(looking)) {
        // What the SDK throws is not about the receipt.
        looking.then(
          () => process.nextTick(handOn, message),
          (error: KestError) => process.nextTick(refuse, error),
        )
        return
      }
    } catch (error) {
      refuse(error)
      return
    }
    handOn(message)
  }
}

function isAnswer(message: Message): boolean {
  if (!isRecord(message)) return false
  return ['result', 'error'].some((name) => Object.hasOwn(message, name)) || !Object.hasOwn(message, 'method')
}

function keyOf(id: unknown): Key {
  const number = typeof id === 'object' && id !== null ? Number.NaN : Number(id)
  return Number.isNaN(number) ? String(id) : number
}

function membersOf(message: Message): readonly string[] {
  const params = isRecord(message) ? message['params'] : undefined
  const meta = isRecord(params) ? params['_meta'] : undefined
  const baggage = isRecord(meta) ? meta['baggage'] : undefined
  return typeof baggage === 'string' ? baggage.split(',') : []
}

function nonceIn(message: Message): string | undefined {
  for (const member of membersOf(message)) {
    const nonce = NAMED.exec(member)?.[1]
    if (nonce !== undefined) return nonce
  }
  return undefined
}

/** Of a message that {@link nonceIn} has found one in. */
function withoutNonce(message: Message): Message {
  const params = message['params'] as Message
  const baggage = membersOf(message).filter((member) => !NAMED.test(member))
  return {
    ...message,
    params: { ...params, _meta: { ...(params['_meta'] as Message), baggage: baggage.join() } },
  }
}
