import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  actingIn,
  currentState,
  hasLeft,
  type KeptState,
  type KestState,
  type Operation,
  onceOver,
  Passport,
  RequestTerm,
} from '@kest/core'
import { type Context, context, trace } from '@opentelemetry/api'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { cleanContext } from './clean-context.js'
import type { Scope } from './scope.js'
import { isHijacked } from './turn.js'

/**
 * `request.kest`: what Kest knows about a request. The ambient accessors of `@kest/core` say the same where they are
 * called in the request's asynchronous execution; this also holds where that was lost.
 */
export interface KestRequest {
  /**
   * Of the operation, once there is one. It ends with the response and its handler (K-STATE): what goes on after that has
   * a state of its own, by {@link keep}.
   */
  readonly state: KestState
  /** What was authorized and recorded; `null` until the handler's turn, and for a request that matches no route. */
  readonly operation: Operation | null
  readonly user: string | null
  readonly agent: string | null
  readonly task: string | null
  /** The lineage at this moment (K-FLOW). */
  readonly passport: Passport
  /** Runs `fn` in the request's state, and what it starts, whatever is ambient where it is called. */
  run<T>(fn: () => T): T
  /**
   * The plugin's `fetch` in the request's state, wherever it is called: in a limiter's task, or in a callback of a shared
   * resource. May be handed on by itself.
   */
  readonly fetch: typeof globalThis.fetch
  /**
   * A state for background work, as `kest.keep()`.
   * @throws {KestError} `ERR_KEST_STATE_ENDED` when the request is over
   */
  keep(): KeptState
  /** A state for one of many things that happen on this connection, as `kest.fork()`: a message of a WebSocket. */
  fork(): KestState
}

/** Requests that were judged; `null` for those that are left alone. Not on the request, where others could write it. */
const exchanges = new WeakMap<FastifyRequest, Exchange | null>()

/** `undefined` for a request that was not judged yet, `null` for one that is left alone. */
export function exchangeOf(request: FastifyRequest): Exchange | null | undefined {
  return exchanges.get(request)
}

/** Kest has nothing to do with this request. */
export function leaveAlone(request: FastifyRequest): void {
  exchanges.set(request, null)
}

/** A request that was let in, until its response is over: what the hooks hand on to each other. */
export class Exchange implements KestRequest {
  readonly #scope: Scope
  readonly #request: FastifyRequest
  readonly #caller: Caller
  readonly #term: RequestTerm
  /** The state before there was an operation. */
  readonly #received: KestState
  /** OpenTelemetry's context of the request, for where the active one was lost. */
  readonly #context: Context
  #operation: Operation | null = null

  constructor(scope: Scope, request: FastifyRequest, reply: FastifyReply, caller: Caller, state: KestState) {
    this.#scope = scope
    this.#request = request
    this.#caller = caller
    this.#received = state
    this.#context = cleanContext(request)
    exchanges.set(request, this)
    request.kest = this
    this.#term = new RequestTerm(request.raw, reply.raw, {
      graceMs: scope.stateGraceMs,
      // A handler that has hijacked its reply goes on when its promise has settled.
      end: (graceMs) => this.#end(isHijacked(reply) ? scope.stateGraceMs : graceMs),
    })
  }

  get state(): KestState {
    return this.#operation?.state ?? this.#received
  }

  get operation(): Operation | null {
    return this.#operation
  }

  get user(): string | null {
    return actingIn(this.state)?.user ?? null
  }

  get agent(): string | null {
    return actingIn(this.state)?.agent ?? null
  }

  get task(): string | null {
    return actingIn(this.state)?.task ?? null
  }

  get passport(): Passport {
    return new Passport(this.state.frame.lineage.strings())
  }

  get fetch(): typeof globalThis.fetch {
    return (...args) => this.run(() => (this.#scope.fetch ?? globalThis.fetch)(...args))
  }

  keep(): KeptState {
    return this.#scope.kest.keep(this.state)
  }

  fork(): KestState {
    return this.#scope.kest.fork(this.state)
  }

  /** Continues in the request's own state, whatever became of the ambient one. */
  run<T>(fn: () => T): T {
    const active = cleanContext(this.#request)
    const ambient = currentState()
    const lost = ambient !== this.state && ambient !== this.#received && trace.getSpan(active) === undefined
    return context.with(lost ? this.#context : active, () => this.#scope.kest.run(this.state, fn))
  }

  /** From here on the request is this operation; it ends with the response, and the handler. */
  enter(operation: Operation): void {
    operation.enter()
    this.#operation = operation
    this.#caller.deciding = false
    if (this.#term.closed) this.#end(this.#scope.stateGraceMs)
  }

  /** Runs the handler, and takes note of what it answers, which may be a promise. Answers what to hand on. */
  handle(handler: () => unknown): unknown {
    return this.#term.handle(handler)
  }

  #end(graceMs: number): void {
    this.#operation?.settle(graceMs)
    this.#received.lifetime.end(graceMs)
  }
}

/** Whoever waits for the response, and whether he still does. */
export class Caller {
  /** While true, any end of the response means that there is nothing left to decide (a time-out answers, too). */
  deciding: boolean
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #controller = new AbortController()

  /** @param deciding whether an operation is to follow */
  constructor(request: IncomingMessage, response: ServerResponse, deciding: boolean) {
    this.deciding = deciding
    this.#request = request
    this.#response = response
    // Not the request's `close`: that comes as soon as the body has been read.
    if (hasLeft(request, response)) this.#controller.abort()
    else this.whenGone(() => this.#gone())
  }

  /** Aborts when the caller leaves before he has his response. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  whenGone(listener: () => void): void {
    onceOver(this.#request, this.#response, listener)
  }

  #gone(): void {
    if (this.deciding || !this.#response.writableEnded) this.#controller.abort()
  }
}
