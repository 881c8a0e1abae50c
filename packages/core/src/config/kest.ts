import { AsyncResource } from 'node:async_hooks'
import type { Context } from '@opentelemetry/api'
import { assertOptions } from '../assert-options.js'
import type { HopOptions } from '../binding/bound-request.js'
import { forkState, type KeptState, keepState } from '../context/derived-states.js'
import type { AboutRequest } from '../context/request-facts.js'
import { currentState, type KestState, runWithState } from '../context/state.js'
import { type BeginOptions, begin } from '../hook/begin.js'
import { hashInput, type InputHashOptions } from '../hook/input-hash.js'
import type { Operation } from '../hook/operation.js'
import { OperationDefinition } from '../hook/operation-definition.js'
import type { OperationOptions } from '../hook/operation-options.js'
import { type VerifiedDecorator, type VerifiedFunction, verifiedWith } from '../hook/verified.js'
import type { IdentityProvider } from '../identity/provider.js'
import { createListener, type KeptPassport, type Listener, type ListenerDeps } from '../ingress/listener.js'
import type { ListenerOptions, ListenerRules } from '../ingress/listener-options.js'
import { createMessages, type Messages } from '../messages/messages.js'
import type { MessagesOptions } from '../messages/messages-options.js'
import type { PolicyEngine } from '../policy/engine.js'
import type { CacheProvider } from '../propagation/cache.js'
import { type CarrierHeaders, type InjectableHeaders, inboundHeaders } from '../propagation/headers.js'
import { injectBaggage } from '../propagation/inject.js'
import { type InjectOptions, sentRequest } from '../propagation/inject-options.js'
import { createOutbound, type Outbound } from '../propagation/outbound.js'
import type { InjectedEvent, OutboundEvents } from '../propagation/passport-writer.js'
import { withoutKestBaggage } from '../propagation/propagator.js'
import type { PropagateTo } from '../propagation/scope.js'
import { describeWithoutWords, placesOf } from '../telemetry/describe-error.js'
import { codeOf } from '../telemetry/failing.js'
import { OnceAWhile } from '../telemetry/once-a-while.js'
import type { KestOptions } from './options.js'
import { createRuntime, type Runtime } from './runtime.js'

/** Share of the tightest bound on a passport in a header from which an operator is told. */
const WARNED_SHARE = 0.75

/** What leaves, in words. */
const REQUESTS = 'requests in scope'
const MESSAGES = 'messages in scope'

const INTERNAL: ListenerOptions = Object.freeze({})

/**
 * One configured Kest: identity, engine, trust and the rest, and what is made of them. Made by {@link createKest};
 * most applications have one, the default instance of {@link configure}.
 */
export class Kest {
  readonly #runtime: Runtime
  readonly #stateless = new OnceAWhile()
  readonly #idle = new OnceAWhile()
  readonly #bypassed = new OnceAWhile()
  readonly #unfiltered = new OnceAWhile()
  #warnedOfSize = false
  readonly #listeners = new WeakMap<ListenerOptions, Listener>()
  readonly #onBypassed = this.#telling(
    () => this.#runtime.metrics.bypassed(),
    this.#bypassed,
    `${REQUESTS} left without a passport: their dispatcher could not be seen, their fetch knows none, or a library shares their session of HTTP/2. Give the dispatcher to the call, fetch(request, { dispatcher }), or wrap it by withKest`,
  )

  /** Use {@link createKest}. */
  constructor(options: KestOptions) {
    this.#runtime = createRuntime(options)
  }

  get identity(): IdentityProvider | null {
    return this.#runtime.identity
  }

  get engine(): PolicyEngine | null {
    return this.#runtime.engine
  }

  get cache(): CacheProvider | null {
    return this.#runtime.cache
  }

  /**
   * Checks an operation's options once, for who begins it many times.
   * @throws {KestConfigError} naming what is missing, unknown or wrong; for an origin that has no score here
   */
  operation<Args extends unknown[] = []>(options: OperationOptions<Args>): OperationDefinition {
    const definition = new OperationDefinition(options)
    definition.assertOrigin(this.#runtime.origins)
    return definition
  }

  /**
   * Authorizes an operation and signs its entry: identity, engine, lineage, trust, taints, policies tier by tier,
   * signature, audit span (SPEC §4). Nothing has run yet when it resolves; when it rejects, nothing will.
   *
   * @throws {KestError} by rejecting: `ERR_KEST_CONFIG` (no identity, no engine, wrong options), `ERR_KEST_IDENTITY`,
   *   `ERR_KEST_LINEAGE_MISSING`, `ERR_KEST_LIMIT`, `ERR_KEST_DENIED`, `ERR_KEST_ENGINE`, `ERR_KEST_ENGINE_TIMEOUT`,
   *   `ERR_KEST_ENGINE_ANSWER`, `ERR_KEST_AUDIT_UNAVAILABLE`, `ERR_KEST_ABORTED`, `ERR_KEST_NOT_JSON`
   *
   * @example
   * ```ts
   * const operation = await kest.begin({ operation: 'payments.charge', policy: 'payments/charge' })
   * await operation.run(() => charge(order))
   * ```
   */
  begin(operation: OperationDefinition | OperationOptions, options?: BeginOptions): Promise<Operation> {
    try {
      // Not by instanceof: the definition may come from another copy of this package.
      const definition = 'resolve' in operation ? operation : new OperationDefinition(operation)
      return begin(this.#runtime, definition, options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /**
   * What stands for an operation's input in its entry (`inputHash`): lowercase hex SHA-256 of its RFC 8785 JSON. With pseudonyms it is
   * an HMAC-SHA-256, as what is short could be guessed at: by the key that `subject.pseudonyms` has for the operation, which it is asked
   * for as the part `task`. It finds entries with the same input for whoever has the key, and says nothing to anybody else.
   *
   * @throws {KestError} by rejecting: `ERR_KEST_NOT_JSON`; with pseudonyms also `ERR_KEST_KEYS_UNAVAILABLE`,
   *   `ERR_KEST_IDENTITY_CONFLICT` where there is no key, `ERR_KEST_ABORTED`
   *
   * @example
   * ```ts
   * const inputHash = await kest.inputHash(job.data, { operation: 'jobs.send' })
   * ```
   */
  async inputHash(value: unknown, options: InputHashOptions): Promise<string> {
    return hashInput(this.#runtime.pseudonyms, value, options)
  }

  /** As the function {@link verified}, on this instance. */
  verified<This, Args extends unknown[], Result>(
    options: OperationOptions<NoInfer<Args>>,
    fn: (this: This, ...args: Args) => Result,
  ): VerifiedFunction<This, Args, Result>
  verified<Args extends unknown[]>(options: OperationOptions<Args>): VerifiedDecorator<Args>
  verified<Args extends unknown[]>(
    options: OperationOptions<Args>,
    fn?: (...args: Args) => unknown,
  ): unknown {
    const wrap = verifiedWith(() => this, options)
    return fn === undefined ? wrap : wrap(fn)
  }

  /**
   * Runs `fn` with `state` as the ambient one, and what it starts: for consumers and jobs, and for frameworks that
   * have no adapter. The state comes from {@link extract}, {@link resume}, a listener or an operation. It is not ended by
   * this, and one that has ended stays so: what begins in it, or is sent from it, throws `ERR_KEST_STATE_ENDED`.
   */
  run<T>(state: KestState, fn: () => T): T {
    return runWithState(state, fn)
  }

  /**
   * Ends a state, for whoever opened it by {@link extract}, {@link resume} or a listener (K-STATE): the message is handled,
   * the job is done. From then on nothing begins in it and nothing is sent from it; accessors still read. One that is never
   * ended is good for the listener's `maxStateMs`. Idempotent.
   */
  end(state: KestState): void {
    state.lifetime.end()
  }

  /**
   * A state for work that goes on after the request or operation that starts it, without its signal and its token. Take it
   * before that is over; end it when the work is done. It is good for no longer than the state that it was taken from
   * could be (`maxStateMs`, `exp` of the token): what takes longer keeps its passport's strings, and is {@link resume}d.
   *
   * @param state default: the ambient one
   * @throws {KestError} `ERR_KEST_STATE_ENDED` when that is over; `ERR_KEST_LINEAGE_MISSING` where there is none
   *
   * @example
   * ```ts
   * const background = kest.keep()
   * void background.run(() => sendReceipt(order)).finally(() => background.end())
   * ```
   */
  keep(state: KestState | null = currentState()): KeptState {
    return keepState(state)
  }

  /**
   * The same state with a frame of its own, as it is now, for what comes again and again on one connection: each message
   * of a WebSocket begins from a fork of its handshake's state, and neither follows nor joins the other messages.
   */
  fork(state: KestState): KestState {
    return forkState(state)
  }

  /**
   * Binds a function to where it is bound: it runs in the state of this moment, whoever calls it (K-STATE). For tasks that
   * are handed to a limiter, a queue or a pool, which may run them in another's context, and for callbacks of shared
   * resources. All other `AsyncLocalStorage` comes along, OpenTelemetry's context too. A state that has ended stays so.
   *
   * @example
   * ```ts
   * await queue.add(kest.bind(() => fetch('http://hop2:8000/orders')))
   * ```
   */
  bind<F extends (...args: never[]) => unknown>(fn: F): F {
    if (typeof fn !== 'function') throw new TypeError(`kest.bind: expected a function, got ${typeof fn}`)
    return AsyncResource.bind(fn as unknown as (...args: unknown[]) => unknown) as unknown as F
  }

  /**
   * The inbound side of a server: restores and verifies lineage and token of each request.
   * @throws {KestConfigError} for options that are unknown or wrong
   */
  listener(options: ListenerOptions = {}): Listener {
    return createListener(this.#listenerDeps(), this.#withRaisers(options))
  }

  /**
   * Messages of queues, topics and jobs (K-MESSAGE): puts the passport on those that are sent, and judges those that are read, each
   * an operation with an entry of its own. `@kest/messaging` has it for Kafka and others.
   *
   * @throws {KestConfigError} for options that are unknown, wrong or missing; with `binding: 'message'` and `propagateTo`, when there
   * is no identity; for an internal one without trust material
   *
   * @example
   * ```ts
   * const messages = kest.messages({ operation: { policy: 'orders/handle' }, propagateTo: ['kafka://main/payments'], binding: 'message' })
   * const delivery = await messages.receive({ headers, body, from: 'kafka://main/orders' })   // dispositionOf(error) when it rejects
   * await delivery.run(() => handle(body))
   * ```
   */
  messages(options: MessagesOptions): Messages {
    const deps = { runtime: this.#runtime, listener: this.#listenerDeps(), ...this.#events(MESSAGES) }
    return createMessages(deps, this.#withRaisers(options))
  }

  #listenerDeps(): ListenerDeps {
    const runtime = this.#runtime
    return {
      identity: runtime.identity,
      trust: runtime.trust,
      pseudonyms: runtime.pseudonyms,
      roots: runtime.roots,
      observations: runtime.observations,
      propagation: runtime.propagation,
      limits: runtime.limits,
      origins: runtime.origins,
      clock: runtime.clock,
      logger: runtime.logger,
      outages: runtime.outages,
      refusals: runtime.refusals,
      cache: runtime.signatures,
      replay: runtime.replay,
      onVerified: (result, milliseconds) => runtime.metrics.verified(result, milliseconds),
      onObserved: (code) => runtime.metrics.observed('lineage', code, null),
      onStripped: (count) => runtime.metrics.stripped(count),
    }
  }

  /** Those of the instance count at a listener as well, where it has none of its own (K-EFF). */
  #withRaisers<O extends ListenerRules>(options: O): O {
    const { raisers } = this.#runtime
    return raisers === null || (options.origin !== undefined && options.acceptLineage !== true)
      ? options
      : { ...options, raisers: options.raisers ?? [...raisers] }
  }

  /**
   * The outbound side of a client: who gets the passport, and what the header is. With `hop` each dispatch carries a
   * token that this instance's identity signs, for receivers with `binding: 'hop'` (K-HOP).
   * @throws {KestConfigError} when `propagateTo` is missing or wrong (K-SCOPE); with `hop`, when there is no identity
   */
  outbound(options: {
    readonly propagateTo: PropagateTo
    readonly hop?: boolean | HopOptions | undefined
  }): Outbound {
    assertOptions('outbound', options, ['propagateTo', 'hop'])
    const { propagation, identity, identityTimeoutMs, logger, receipts } = this.#runtime
    const told = { ...this.#events(REQUESTS), onBypassed: this.#onBypassed }
    return createOutbound({
      ...propagation,
      identity,
      identityTimeoutMs,
      logger,
      receipts,
      ...told,
      ...options,
    })
  }

  /**
   * For adapters: OpenTelemetry's context of a request without `kest.*` in its Baggage (K-AMBIENT). Where there was any, the
   * propagator has let it in: what leaves by a client that Kest does not know tells it to strangers. That is warned of, once a minute.
   *
   * @returns the context itself when there is nothing to take out
   */
  cleanContext(context: Context): Context {
    const clean = withoutKestBaggage(context)
    if (clean === context) return context
    const count = this.#unfiltered.count()
    if (count > 0) {
      const found =
        'kest.* of requests was in the Baggage of OpenTelemetry, from where instrumentation sends it to anybody: let the propagator be filterKestBaggage(…)'
      this.#runtime.logger.warn({ count }, found)
    }
    return clean
  }

  /**
   * For adapters: tells the operator of an error that refuses a request, and that nothing has told of. Of one that is not Kest's, its
   * class and where it was thrown: its words may be the request's. Of many, ten in ten seconds, and how many more there were.
   *
   * @param about what the log says of the request: what `requestFacts` answers
   */
  unexpected(error: unknown, about?: AboutRequest): void {
    const message = 'a request could not be judged'
    this.#runtime.refusals.refused({ code: codeOf(error), level: 'error', message }, () => ({
      ...about?.(),
      err: describeWithoutWords(error),
      at: placesOf(error),
    }))
  }

  /**
   * What a listener does, once: verifies the lineage in some headers (of a message, a call of another framework).
   * Give the same options object each time: its listener, with the keys that it fetched, is kept by it.
   *
   * @param headers not changed: `node:http`'s object, `Headers` of whatever class, a `Map`, pairs, a flat list. Bytes, as
   *   Kafka has them, are read as UTF-8
   * @throws {KestError} as {@link Listener.receive}; `ERR_KEST_CONFIG` for headers of another form, `ERR_KEST_BAGGAGE` for
   *   a value that is no text
   */
  async extract(headers: CarrierHeaders, options: ListenerOptions = INTERNAL): Promise<KestState> {
    const listener = this.#listenerFor(options)
    return listener.receive({ headers: inboundHeaders('extract', headers, listener.reads) })
  }

  /**
   * Takes up a passport that was kept in a queue or a job as its strings: verifies it again, with an age of the
   * caller's own (`maxAgeMs`), and answers the state to {@link run} in (K-RESUME).
   *
   * @example
   * ```ts
   * const state = await kest.resume({ passport: job.passport }, { maxAgeMs: 24 * 3_600_000 })
   * await kest.run(state, () => handle(job)).finally(() => kest.end(state))
   * ```
   * @throws {KestError} as {@link Listener.receive}
   */
  async resume(kept: KeptPassport, options: ListenerOptions): Promise<KestState> {
    return this.#listenerFor(options).resume(kept)
  }

  /**
   * Puts the passport on the headers of a request to `url` that another client sends. Naming the URL is the rule of
   * K-SCOPE here; a redirect that the client follows by itself is not covered.
   *
   * @param headers as for {@link extract}, but for what can only be listed
   * @returns the same headers, their `baggage` set, or removed when nothing is left of it
   * @param options.hop whether a token for the receiver goes along (K-HOP); good for one request, within 30 seconds
   * @param options.method and `options.body`: what is sent, for a token that is bound to it (K-BODY)
   * @param options.state whose passport; default: that of the ambient state
   * @throws {KestError} `ERR_KEST_STATE_ENDED`, `ERR_KEST_TOO_LARGE`, `ERR_KEST_CACHE`, `ERR_KEST_IDENTITY`, `ERR_KEST_CONFIG` for headers of
   *   another form, `ERR_KEST_BAGGAGE` where there is one that is no text, `ERR_KEST_RECEIPT` where receipts are required, which nobody takes
   *   of what is sent by hand: do not send the request
   */
  inject<H extends InjectableHeaders>(
    headers: H,
    url: string | URL,
    options: InjectOptions = {},
  ): Promise<H> {
    const target = new URL(url)
    assertOptions('inject', options, ['hop', 'state', 'method', 'body'])
    const { hop, state } = options
    const outbound = this.outbound({ propagateTo: [target.origin], hop })
    const sent = sentRequest(target, options)
    return injectBaggage(headers, (lines) => outbound.baggage(lines, target, state, sent))
  }

  /** What is told of what leaves, or should have. */
  #events(what: string): OutboundEvents {
    const { metrics, propagation } = this.#runtime
    const stateless = (): void => metrics.stateless()
    return {
      onStateless: this.#telling(
        stateless,
        this.#stateless,
        `${what} left without a passport: no state was there. Where a protected request is served, something on its way lost it (docs/concurrency.md)`,
      ),
      onIdle: this.#telling(
        stateless,
        this.#idle,
        `${what} left without a passport: no operation had begun where they were made. Make them within a protected route or a verified function`,
      ),
      onInjected: (event) => {
        metrics.injected(event.tier, event.length)
        if (propagation.cache === null) this.#warnOfSize(event)
      },
    }
  }

  #telling(count: () => void, often: OnceAWhile, text: string): (origin: string) => void {
    return (origin) => {
      count()
      const untold = often.count()
      if (untold > 0) this.#runtime.logger.warn({ origin, count: untold }, text)
    }
  }

  /** Once: without a cache, a passport that grows on fits no header, and its request is not sent. */
  #warnOfSize({ origin, entries, length, share }: InjectedEvent): void {
    if (share < WARNED_SHARE || this.#warnedOfSize) return
    this.#warnedOfSize = true
    this.#runtime.logger.warn(
      {
        origin,
        entries,
        characters: length,
        percent: Math.floor(share * 100),
        remedy:
          'configure a cache for claim checks (createKest({ cache })), or raise the bounds at both ends',
      },
      'passports grow towards what a header holds, and no cache is configured: requests with larger ones are not sent',
    )
  }

  #listenerFor(options: ListenerOptions): Listener {
    let listener = this.#listeners.get(options)
    if (listener === undefined) {
      listener = this.listener(options)
      this.#listeners.set(options, listener)
    }
    return listener
  }

  /**
   * Closes identity, engine, cache and trust, also those that another instance was given as well, and follows the deployment file no
   * longer. Idempotent as far as they are. Settles when all have ended.
   * @throws what the first of them throws that fails; the others are closed all the same
   */
  async close(): Promise<void> {
    const { identity, engine, cache, trust, deployment, outages, refusals, outcomes } = this.#runtime
    deployment.close()
    if (outcomes !== null) await outcomes.settled()
    outages.close()
    refusals.close()
    const parts = [identity, engine, cache, ...trust]
    const ended = await Promise.allSettled(parts.map(async (part) => part?.close?.()))
    for (const one of ended) if (one.status === 'rejected') throw one.reason
  }
}

/**
 * Makes an instance.
 * @throws {KestConfigError} for unknown or wrong options, or a wrong deployment file (`KEST_CONFIG`)
 *
 * @example
 * ```ts
 * const kest = createKest({ identity, engine, trust: createKeySource({ 'spiffe://example.org/hop1': [jwk] }) })
 * ```
 */
export function createKest(options: KestOptions): Kest {
  return new Kest(options)
}
