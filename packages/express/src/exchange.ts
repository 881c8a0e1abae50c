import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  actingIn,
  currentState,
  type KeptState,
  type Kest,
  type KestState,
  type Operation,
  Passport,
  RequestTerm,
  withoutKestBaggage,
} from '@kest/core'
import { type Context, context, trace } from '@opentelemetry/api'
import type { RequestParts } from './middleware.js'

/** What Kest knows about a request, on the request itself: `req.kest`. It is there also where ambient state is lost. */
export interface RequestKest {
  /**
   * The state of the innermost operation that has begun, else that of the request. It ends with the response and its
   * handlers (K-STATE): what goes on after that has a state of its own, by {@link keep}.
   */
  readonly state: KestState
  /** The innermost operation that has begun; `null` before {@link protect}. */
  readonly operation: Operation | null
  readonly user: string | null
  readonly agent: string | null
  readonly task: string | null
  /** The passport at this moment (K-FLOW): a copy. */
  readonly passport: Passport
  /** Runs `fn` in the request's state, and what it starts, whatever is ambient where it is called. */
  run<T>(fn: () => T): T
  /**
   * The `fetch` of `kestExpress()` in the request's state, wherever it is called: in a limiter's task, or in a callback of
   * a shared resource. May be handed on by itself.
   */
  readonly fetch: typeof globalThis.fetch
  /**
   * A state for background work, as `kest.keep()`.
   * @throws {KestError} `ERR_KEST_STATE_ENDED` when the request is over
   */
  keep(): KeptState
  /** A state for one of many things that happen on this connection, as `kest.fork()`. */
  fork(): KestState
}

declare global {
  namespace Express {
    interface Request {
      /** Set by `kestExpress()` on requests that it let in. */
      kest?: RequestKest
    }
  }
}

/** What a refused request is answered with: by Kest itself, or by the application's error handlers. */
export type OnError = 'respond' | 'next'

/** What a request has of the middleware that let it in. */
export interface Ingress {
  readonly kest: Kest
  readonly onError: OnError
  readonly stateGraceMs: number
  readonly fetch: typeof globalThis.fetch | undefined
  /** Which middleware it was. */
  readonly ingress: unknown
}

/** Requests that were let in. Not a property of the request: nothing else can write it. */
const exchanges = new WeakMap<IncomingMessage, Exchange>()

/** The request's exchange; `undefined` when no ingress middleware let it in. */
export function exchangeOf(req: IncomingMessage): Exchange | undefined {
  return exchanges.get(req)
}

/** A request that was let in, until its response is over. */
export class Exchange implements RequestKest {
  readonly kest: Kest
  readonly onError: OnError
  readonly ingress: unknown
  readonly #fetch: typeof globalThis.fetch | undefined
  readonly #graceMs: number
  readonly #term: RequestTerm
  readonly #received: KestState
  readonly #operations: Operation[] = []
  /** OpenTelemetry's context of the request, for where the active one was lost. */
  readonly #context: Context
  #passed: { readonly route: unknown; readonly params: unknown } | undefined

  constructor(
    { kest, onError, stateGraceMs, fetch, ingress }: Ingress,
    received: KestState,
    req: IncomingMessage & { kest?: RequestKest },
    res: ServerResponse,
  ) {
    this.kest = kest
    this.onError = onError
    this.ingress = ingress
    this.#fetch = fetch
    this.#graceMs = stateGraceMs
    this.#received = received
    this.#context = withoutKestBaggage(context.active())
    exchanges.set(req, this)
    req.kest = this
    this.#term = new RequestTerm(req, res, { graceMs: stateGraceMs, end: (graceMs) => this.#end(graceMs) })
  }

  get state(): KestState {
    return this.operation?.state ?? this.#received
  }

  get operation(): Operation | null {
    return this.#operations.at(-1) ?? null
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
    return (...args) => this.run(() => (this.#fetch ?? globalThis.fetch)(...args))
  }

  keep(): KeptState {
    return this.kest.keep(this.state)
  }

  fork(): KestState {
    return this.kest.fork(this.state)
  }

  /** Continues in the request's state, whatever is ambient, and with no `kest.*` in OpenTelemetry's Baggage. */
  run<T>(fn: () => T): T {
    const active = context.active()
    const own = trace.getSpan(active) === undefined ? this.#context : withoutKestBaggage(active)
    return context.with(own, () => this.kest.run(this.state, fn))
  }

  /** From here on the request is in `operation`. */
  enter(operation: Operation, req: RequestParts): void {
    operation.enter()
    this.#operations.push(operation)
    this.#passed = { route: req.route, params: req.params }
    if (this.#term.closed) this.#end(this.#graceMs)
  }

  /**
   * Runs a handler in the request's state, and takes note of what it answers, which may be a promise. Answers what to hand
   * on. What parses a body by itself often continues in another context.
   */
  handle(handler: () => unknown): unknown {
    return this.#term.handle(() => (currentState() === this.state ? handler() : this.run(handler)))
  }

  /**
   * Whether an operation has begun in this very pass through this route. Express makes new `params` each time that it
   * matches a route; a second pass, after `next('route')` or a rewritten URL, is another matter.
   */
  hasPassed(req: RequestParts): boolean {
    const passed = this.#passed
    return (
      passed !== undefined &&
      req.params !== undefined &&
      passed.params === req.params &&
      passed.route === req.route
    )
  }

  /** The innermost first: each joins the one that it ran in. */
  #end(graceMs: number): void {
    for (const operation of this.#operations.toReversed()) operation.settle(graceMs)
    this.#received.lifetime.end(graceMs)
  }
}
