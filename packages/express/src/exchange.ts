import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Kest, type KestState, type Operation, onceOver, Passport, withoutKestBaggage } from '@kest/core'
import { type Context, context, trace } from '@opentelemetry/api'
import type { RequestParts } from './middleware.js'

/** What Kest knows about a request, on the request itself: `req.kest`. It is there also where ambient state is lost. */
export interface RequestKest {
  /** The state of the innermost operation that has begun, else that of the request: what to `kest.run` in. */
  readonly state: KestState
  /** The innermost operation that has begun; `null` before {@link protect}. */
  readonly operation: Operation | null
  readonly user: string | null
  readonly agent: string | null
  readonly task: string | null
  /** The passport at this moment (K-FLOW): a copy. */
  readonly passport: Passport
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
  /** Which middleware let it in. */
  readonly ingress: unknown
  readonly #received: KestState
  readonly #operations: Operation[] = []
  /** OpenTelemetry's context of the request, for where the active one was lost. */
  readonly #context: Context
  #passed: { readonly route: unknown; readonly params: unknown } | undefined

  constructor(
    { kest, onError, ingress }: Pick<Exchange, 'kest' | 'onError' | 'ingress'>,
    received: KestState,
    req: IncomingMessage & { kest?: RequestKest },
    res: ServerResponse,
  ) {
    this.kest = kest
    this.onError = onError
    this.ingress = ingress
    this.#received = received
    this.#context = withoutKestBaggage(context.active())
    exchanges.set(req, this)
    req.kest = this
    const settle = () => this.#settle()
    res.once('finish', settle)
    onceOver(req, res, settle)
  }

  get state(): KestState {
    return this.operation?.state ?? this.#received
  }

  get operation(): Operation | null {
    return this.#operations.at(-1) ?? null
  }

  get user(): string | null {
    return this.state.identity?.context.user ?? null
  }

  get agent(): string | null {
    return this.state.identity?.context.agent ?? null
  }

  get task(): string | null {
    return this.state.identity?.context.task ?? null
  }

  get passport(): Passport {
    return new Passport(this.state.frame.lineage.strings())
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
  #settle(): void {
    for (const operation of this.#operations.toReversed()) operation.settle()
  }
}
