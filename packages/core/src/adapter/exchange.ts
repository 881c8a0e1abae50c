import { type Context, context, trace } from '@opentelemetry/api'
import { assertOptions } from '../assert-options.js'
import type { KeptState } from '../context/derived-states.js'
import { type KnownToFramework, requestFacts } from '../context/request-facts.js'
import { actingIn, currentState, type KestState } from '../context/state.js'
import type { Operation } from '../hook/operation.js'
import type { OperationDefinition } from '../hook/operation-definition.js'
import type { Outcome } from '../hook/outcome-entry.js'
import type { ArrivedRequest, ArrivedResponse } from '../ingress/arrived.js'
import { hasLeft } from '../ingress/departure.js'
import { RequestTerm } from '../ingress/request-term.js'
import { Passport } from '../passport/passport.js'
import { withoutKestBaggage } from '../propagation/propagator.js'
import type { Caller } from './caller.js'
import type { Ingress } from './ingress.js'

/**
 * What Kest knows about a request, on the request itself: `request.kest`. The ambient accessors say the same where they are
 * called in the request's asynchronous execution; this also holds where that was lost.
 */
export interface RequestKest {
  /**
   * The state of the innermost operation that has begun, else that of the request. It ends with the response and its
   * handlers (K-STATE): what goes on after that has a state of its own, by {@link keep}.
   */
  readonly state: KestState
  /** The innermost operation that has begun; `null` before that, and for a request that matches no route. */
  readonly operation: Operation | null
  readonly user: string | null
  readonly agent: string | null
  readonly task: string | null
  /** The passport at this moment (K-FLOW): a copy. */
  readonly passport: Passport
  /** Runs `fn` in the request's state, and what it starts, whatever is ambient where it is called. */
  run<T>(fn: () => T): T
  /**
   * The adapter's `fetch` in the request's state, wherever it is called: in a limiter's task, or in a callback of a shared
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

/** A request as the framework has it. */
export interface Arrival {
  /** Node's own, or where there is none what stands for it, for as long as the request lasts. */
  readonly request: ArrivedRequest
  readonly response: ArrivedResponse
  /** The URL as in the request line, where the framework changes `request.url` on the way. */
  readonly url?: string | undefined
  /** The longest body that the framework takes, bytes, where it has a bound of its own: no more is kept (K-BODY). */
  readonly bodyLimit?: number | undefined
  /** Whether the route lets a token name somebody else than the lineage does (K-IDENT). Default `false`. */
  readonly switchIdentity?: boolean | undefined
  /**
   * Whether the route is known to be protected: until its operation has begun any end of the response, also by a time-out, stops
   * what is asked in between. Default `false`.
   */
  readonly isProtected?: boolean | undefined
  /** What the log says of it beyond `node:http`; asked when there is a line to write. */
  readonly known?: (() => KnownToFramework) | undefined
  /** Whether somebody else than the handler answers by now, so that a handler that is done says nothing. Default: no. */
  readonly isHandedOver?: (() => boolean) | undefined
  /** OpenTelemetry's context for it, where the framework keeps one; default: the active one. */
  readonly context?: (() => Context) | undefined
}

/** What an operation is decided for. */
export interface OperationArrival {
  /** What the options' functions are given: the request, in the framework's form. */
  readonly args: readonly unknown[]
  /** Whether somebody else has answered, or begun to. Default: whether anything was sent or ended. */
  readonly isAnswered?: (() => boolean) | undefined
}

const BEGIN_OPTIONS: ReadonlySet<string> = new Set<keyof OperationArrival>(['args', 'isAnswered'])

/**
 * A request that was let in, until its response is over: what the parts of an adapter hand on to each other. Keep it where
 * the application cannot write: in a `createPrivateSlot` or a `WeakMap`, by the framework's request.
 */
export class Exchange implements RequestKest {
  /** Who let it in. */
  readonly ingress: Ingress
  readonly #arrival: Arrival
  readonly #caller: Caller
  readonly #term: RequestTerm
  /** The state before there was an operation. */
  readonly #received: KestState
  /** The innermost last. */
  readonly #operations: Operation[] = []
  #failed = false
  /** OpenTelemetry's context of the request, for where the active one was lost. */
  readonly #context: Context

  /** Made by `Ingress.receive`. */
  constructor(ingress: Ingress, arrival: Arrival, caller: Caller, received: KestState) {
    this.ingress = ingress
    this.#arrival = arrival
    this.#caller = caller
    this.#received = received
    this.#context = withoutKestBaggage(contextOf(arrival))
    caller.deciding = arrival.isProtected ?? false
    const { stateGraceMs } = ingress
    this.#term = new RequestTerm(arrival.request, arrival.response, {
      graceMs: stateGraceMs,
      end: (graceMs, left) => this.#end(arrival.isHandedOver?.() ? stateGraceMs : graceMs, left),
      failed: () => this.failed(),
    })
  }

  get state(): KestState {
    return this.operation?.state ?? this.#received
  }

  get operation(): Operation | null {
    return this.#operations.at(-1) ?? null
  }

  /**
   * What to answer its caller with as receipt (K-RECEIPT); `null` before its operation has begun, and where none is asked for. Node's
   * responses get it by themselves.
   */
  get receipt(): string | null {
    return this.#received.call?.receipt ?? null
  }

  /** For adapters that know it otherwise than by the response's status, or by a handler that rejects: it has failed (K-OUTCOME). */
  failed(): void {
    this.#failed = true
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
    return (...args) => this.run(() => (this.ingress.fetch ?? globalThis.fetch)(...args))
  }

  keep(): KeptState {
    return this.ingress.kest.keep(this.state)
  }

  fork(): KestState {
    return this.ingress.kest.fork(this.state)
  }

  /** Continues in the request's state, whatever is ambient, and with no `kest.*` in OpenTelemetry's Baggage. */
  run<T>(fn: () => T): T {
    const active = withoutKestBaggage(contextOf(this.#arrival))
    const lost = !this.#isOwn(currentState()) && trace.getSpan(active) === undefined
    return context.with(lost ? this.#context : active, () => this.ingress.kest.run(this.state, fn))
  }

  /**
   * Decides, signs, and lets the request be this operation from here on: `state` is the operation's, and ends with the
   * response and its handlers. Each is within the one before. Go on by {@link run}.
   *
   * @throws {KestError} as `kest.begin`; `ERR_KEST_ABORTED` when nobody waits any more, or somebody else has answered
   */
  async begin(definition: OperationDefinition, arrival: OperationArrival): Promise<void> {
    assertOptions('exchange.begin', arrival, BEGIN_OPTIONS)
    const { args, isAnswered } = arrival
    const { request, response } = this.#arrival
    const answered = isAnswered ?? (() => response.headersSent || response.writableEnded)
    const isGone = () => answered() || hasLeft(request, response)
    const before = this.#caller.deciding
    this.#caller.deciding = true
    const { kest, stateGraceMs } = this.ingress
    // The hook tells of what it refuses.
    let isDeciding = false
    try {
      const operation = await this.run(() => {
        isDeciding = true
        return kest.begin(definition, { state: this.state, args, isGone })
      })
      isDeciding = false
      operation.enter()
      this.#operations.push(operation)
      if (this.#term.closed) this.#end(stateGraceMs, this.#term.left)
      this.#caller.deciding = false
    } catch (error) {
      this.#caller.deciding = before
      if (!isDeciding) kest.unexpected(error, () => requestFacts(request, this.#arrival.known))
      throw error
    }
  }

  /**
   * Runs a handler in the request's state, and takes note of what it answers, which may be a promise: the state does not end
   * before that has settled. Answers what to hand on. What parses a body by itself often continues in another context.
   */
  handle<T>(handler: () => T): T {
    return this.#term.handle(() => (currentState() === this.state ? handler() : this.run(handler))) as T
  }

  #isOwn(state: KestState | null): boolean {
    return state === this.#received || this.#operations.some((operation) => operation.state === state)
  }

  /** Where nobody had ended the response when it was closed, the request was left (K-OUTCOME). */
  #outcome(left: boolean): Outcome {
    const { statusCode = 200 } = this.#arrival.response
    if (left) return 'aborted'
    return this.#failed || statusCode >= 500 ? 'failed' : 'succeeded'
  }

  /** The innermost first: each joins the one that it ran in. */
  #end(graceMs: number, left: boolean): void {
    const outcome = this.#outcome(left)
    for (const operation of this.#operations.toReversed()) operation.settle(graceMs, outcome)
    this.#received.lifetime.end(graceMs)
  }
}

/** OpenTelemetry's context of a request. Instrumentation may have put `kest.*` into its Baggage (K-AMBIENT). */
export function contextOf(arrival: Arrival): Context {
  return arrival.context?.() ?? context.active()
}
