import {
  type Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  status,
} from '@grpc/grpc-js'
import { createPrivateSlot, type Exchange, type Ingress, KestConfigError, type RequestKest } from '@kest/core'
import { type Context, context, trace } from '@opentelemetry/api'
import { withReceipt } from '../receipt.js'
import { refusalOf } from '../status.js'
import { CallEnds } from './call-ends.js'
import { connectionOf } from './connections.js'
import { contextIn, headersOf, keepRestOf } from './metadata.js'
import type { IncomingCall, MethodRules, Protection } from './methods.js'
import { toldOnce } from './misconfigured.js'

type Listener = Parameters<ServerInterceptingCall['start']>[0]
type Status = Parameters<ServerInterceptingCall['sendStatus']>[0]

/** Calls that were let in, by their metadata: the object that handlers are given. Nobody else can write it. */
const exchanges = createPrivateSlot<Metadata, Exchange>()

/**
 * What Kest knows of a call, for handlers that lost the ambient state: `kestOf(call).run(fn)`.
 *
 * @param call as a handler is given it
 * @throws {KestConfigError} for a call that no `kestGrpc()` has let in, and where an interceptor has replaced its metadata
 */
export function kestOf(call: { readonly metadata: Metadata }): RequestKest {
  const exchange = exchanges.get(call.metadata)
  if (exchange === undefined) throw new KestConfigError('kestOf(): no kestGrpc() has let this call in')
  return exchange
}

/**
 * A call whose handler waits for a decision: nothing is read before, not even by other interceptors. Once it is let in,
 * everything that the handler gets comes in the state of its operation.
 */
export class ProtectedCall extends ServerInterceptingCall {
  readonly #call: ServerInterceptingCallInterface
  readonly #method: string
  readonly #rules: MethodRules
  readonly #ingress: Ingress
  readonly #ends = new CallEnds()
  #exchange: Exchange | undefined
  #readingAsked = false
  #answered = false

  constructor(call: ServerInterceptingCallInterface, method: string, rules: MethodRules, ingress: Ingress) {
    super(call)
    this.#call = call
    this.#method = method
    this.#rules = rules
    this.#ingress = ingress
  }

  override start(listener: Listener): void {
    super.start({
      onReceiveMetadata: (metadata) => {
        this.#letIn(metadata).then(
          (exchange) => this.#goOn(exchange, () => listener.onReceiveMetadata(metadata)),
          (error: unknown) => this.#refuse(error),
        )
      },
      onReceiveMessage: (message) => this.#inState(() => listener.onReceiveMessage(message)),
      onReceiveHalfClose: () => this.#inState(() => listener.onReceiveHalfClose()),
      onCancel: () => {
        this.#ends.over()
        this.#inState(() => listener.onCancel())
      },
    })
  }

  override startRead(): void {
    if (this.#exchange === undefined) this.#readingAsked = true
    else super.startRead()
  }

  /** gRPC sends those of the first time, and no others. */
  override sendMetadata(metadata: Metadata): void {
    super.sendMetadata(withReceipt(metadata, this.#receipt))
    this.#answered = true
  }

  /** A call that is answered by a status alone has its receipt with that; other trailers have none (K-RECEIPT). */
  override sendStatus(ended: Status): void {
    if (ended.code !== status.OK && !this.#ends.writableEnded) this.#exchange?.failed()
    this.#ends.writableEnded = true
    const metadata = withReceipt(ended.metadata, this.#receipt)
    super.sendStatus(metadata === ended.metadata ? ended : { ...ended, metadata })
  }

  /** What is still to be sent. */
  get #receipt(): string | null {
    return this.#answered ? null : (this.#exchange?.receipt ?? null)
  }

  /** Judges what came, decides, and signs. */
  async #letIn(metadata: Metadata): Promise<Exchange> {
    if (exchanges.get(metadata) !== undefined)
      throw toldOnce(new KestConfigError('kestGrpc: it is used twice for one call'))
    const method = this.#method
    const { operations, switchIdentity } = this.#protection()
    const call = this.#call
    const { listener } = this.#ingress
    const headers = headersOf(metadata, listener.reads)
    let parent: Context | undefined
    const exchange = await this.#ingress.receive({
      request: {
        headers,
        method: 'POST',
        url: method,
        socket: listener.binding === 'mtls' ? connectionOf(call) : undefined,
      },
      response: this.#ends,
      switchIdentity,
      isProtected: true,
      known: () => ({ route: method, peer: call.getPeer() }),
      context: () => {
        const active = context.active()
        if (trace.getSpan(active) !== undefined) return active
        parent ??= contextIn(metadata)
        return parent
      },
    })
    keepRestOf(headers, metadata)
    exchanges.set(metadata, exchange)
    const incoming: IncomingCall = {
      method,
      metadata,
      get peer() {
        return call.getPeer()
      },
    }
    await exchange.begin(operations.named(method), {
      args: [incoming],
      isAnswered: () => this.#isOver(),
    })
    return exchange
  }

  #protection(): Protection {
    try {
      return this.#rules.protectionOf(this.#method)
    } catch (error) {
      throw toldOnce(error as KestConfigError)
    }
  }

  #goOn(exchange: Exchange, next: () => void): void {
    this.#exchange = exchange
    if (this.#isOver()) return
    exchange.run(next)
    if (this.#readingAsked) super.startRead()
  }

  #refuse(error: unknown): void {
    if (!this.#isOver()) this.sendStatus(refusalOf(error))
  }

  /** Also where the deadline has passed, and gRPC is about to say so. */
  #isOver(): boolean {
    const { writableEnded, destroyed } = this.#ends
    return writableEnded || destroyed || Date.now() >= Number(this.#call.getDeadline())
  }

  #inState(fn: () => void): void {
    if (this.#exchange === undefined) fn()
    else this.#exchange.run(fn)
  }
}
