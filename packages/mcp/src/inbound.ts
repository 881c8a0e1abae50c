import {
  getActiveKest,
  type Kest,
  KestConfigError,
  KestError,
  type KestState,
  type Listener,
  type ListenerOptions,
  type Operation,
  requestFacts,
  toStateGraceMs,
} from '@kest/core'
import { type Call, Calls } from './calls.js'
import { httpRequestOf, judgedState, withoutLineage } from './http-request.js'
import { type Deliver, type Interceptor, intercept } from './intercept.js'
import { cancelledId, isId, isRequest, type Message, type MessageExtra, type Transport } from './message.js'
import { type Carrier, carrierOf, NotARequest } from './meta.js'
import { toOpen } from './methods.js'
import { Operations, type PolicyOf, type ValuesOf } from './operations.js'
import { passOn } from './pass-on.js'
import { refuse } from './refuse.js'
import { type Asked, type McpRequest, readRequest } from './request.js'

/** How a connection judges what the other end asks for. */
export interface McpInboundOptions extends Omit<ListenerOptions, 'require' | 'maxBodyBytes'> {
  /** Default: the active one (`configure`), as it is when this is called. */
  readonly kest?: Kest | undefined
  /** The policies of a request, or what gives them; all must allow. A function that gives none refuses the request. */
  readonly policy: PolicyOf<McpRequest>
  /** What else the operations are, such as `addedTaints` or `resource`: values, or functions of the request. */
  readonly operation?: ValuesOf<McpRequest> | undefined
  /**
   * Methods that need no policy, beside those that only tell what there is (`tools/list`, `ping`, …). `tools/call`, `resources/read`,
   * `prompts/get`, `sampling/createMessage` and `elicitation/create` are refused here.
   */
  readonly open?: readonly string[] | undefined
  /**
   * How long operations begin and calls leave in the state of a request that was cancelled, or whose connection has closed, milliseconds:
   * nobody knows when its handler is done (K-STATE). Default 10,000.
   */
  readonly stateGraceMs?: number | undefined
}

/** Judges what arrives on connections, and runs it within its operation. */
export class Inbound {
  readonly #kest: Kest
  readonly #listener: Listener
  readonly #operations: Operations<McpRequest>
  readonly #isOpen: (method: string) => boolean
  readonly #graceMs: number

  /** @throws {KestConfigError} for options that are missing, unknown or wrong; `where` says whose they are */
  constructor(where: string, options: McpInboundOptions) {
    const { kest = getActiveKest(), policy, operation = {}, open, stateGraceMs, ...listening } = options
    if (typeof kest?.begin !== 'function' || typeof kest.listener !== 'function')
      throw new KestConfigError(`${where}.kest: expected what createKest or configure answered`)
    const bound = ['require', 'maxBodyBytes'].find((name) => Object.hasOwn(listening, name))
    if (bound !== undefined)
      throw new KestConfigError(`${where}.${bound}: over MCP a token binds nothing of its call (K-BODY)`)
    this.#graceMs = toStateGraceMs(where, stateGraceMs)
    this.#kest = kest
    this.#isOpen = toOpen(where, open)
    this.#operations = new Operations(`${where}.operation`, policy, operation)
    this.#listener = kest.listener(listening)
  }

  /**
   * @param around what stands before it
   * @returns as {@link intercept}
   */
  attach(transport: Transport, around: (interceptor: Interceptor) => Interceptor = (one) => one): () => void {
    const calls = new Calls(this.#graceMs)
    const interceptor: Interceptor = {
      received: (message, extra, deliver) => {
        calls.cancelled(cancelledId(message))
        if (!isRequest(message)) passOn(message, extra, deliver, transport)
        else if (this.#isOpen(message.method)) passOnOpen(message, extra, deliver, transport, calls)
        else void this.#serve(message, extra, deliver, transport, calls)
      },
      receiptOf: (id) => calls.receiptOf(id),
      answered: (id, isFailure) => calls.answered(id, isFailure ? 'failed' : 'succeeded'),
      closed: () => calls.closed(),
    }
    return intercept(transport, around(interceptor))
  }

  /** Settles when the request was handed on, or refused. What is thrown here would be thrown at nobody. */
  async #serve(
    message: Message,
    extra: MessageExtra | undefined,
    deliver: Deliver,
    transport: Transport,
    calls: Calls,
  ): Promise<void> {
    let asked: Asked | undefined
    let call: Call | undefined
    try {
      asked = readRequest(message, extra, transport.sessionId)
      call = calls.begin(asked.id)
      const carrier = carrierOf(message)
      const operation = await this.#begin(asked, call, carrier, extra)
      call.begins(operation)
      if (call.signal.aborted) throw new KestError('ERR_KEST_ABORTED', `${asked.operation}: it was cancelled`)
      this.#kest.run(operation.enter(), () => deliver(carrier.message(), withoutLineage(extra)))
    } catch (error) {
      if (asked !== undefined && call !== undefined) calls.end(asked.id, call, 'failed')
      if (call?.signal.aborted !== true) await refuse(transport, message['id'], error)
    }
  }

  async #begin(
    asked: Asked,
    call: Call,
    carrier: Carrier,
    extra: MessageExtra | undefined,
  ): Promise<Operation> {
    const { operation, request } = asked
    const { signal } = call
    const state = await this.#receive(asked, call, carrier, extra)
    const inputHash = await this.#kest
      .inputHash(request.arguments, { operation, state, signal })
      .catch((error: unknown) => {
        throw error instanceof KestError && error.code === 'ERR_KEST_NOT_JSON'
          ? new NotARequest('arguments')
          : error
      })
    const definition = this.#operations.define(operation, request, { inputHash })
    return this.#kest.begin(definition, { state, signal, args: [request] })
  }

  async #receive(
    { operation, request, id }: Asked,
    call: Call,
    { headers }: Carrier,
    extra: MessageExtra | undefined,
  ) {
    const http = httpRequestOf(extra)
    const judged = judgedState(extra)
    const facts = { method: request.method, headers: {}, socket: {} } as Parameters<typeof requestFacts>[0]
    const about = () => requestFacts(facts, () => ({ route: operation, id }))
    if (judged !== null) {
      await this.#listener.within(judged, { headers, about })
      return judged
    }
    const state: KestState = await this.#listener.receive({
      headers: http?.headers ?? {},
      also: [headers],
      method: http === null ? undefined : 'POST',
      url: http?.url,
      signal: call.signal,
      about,
    })
    call.receives(state)
    return state
  }
}

/** It has no operation, and is counted: its answer is not that of a call which has the same id. */
function passOnOpen(
  message: Message,
  extra: MessageExtra | undefined,
  deliver: Deliver,
  transport: Transport,
  calls: Calls,
): void {
  const { id } = message
  let call: Call | undefined
  try {
    if (isId(id)) call = calls.begin(id, { isOpen: true })
  } catch (error) {
    void refuse(transport, id, error)
    return
  }
  const isHandedOn = passOn(message, extra, deliver, transport)
  if (!isHandedOn && isId(id) && call !== undefined) calls.end(id, call, 'failed')
}
