import { type KestState, runWithState } from '../context/state.js'
import { type BeginOptions, begin } from '../hook/begin.js'
import type { Operation } from '../hook/operation.js'
import { OperationDefinition } from '../hook/operation-definition.js'
import type { OperationOptions } from '../hook/operation-options.js'
import { type VerifiedDecorator, type VerifiedFunction, verifiedWith } from '../hook/verified.js'
import type { IdentityProvider } from '../identity/provider.js'
import { createListener, type KeptPassport, type Listener } from '../ingress/listener.js'
import type { ListenerOptions } from '../ingress/listener-options.js'
import type { PolicyEngine } from '../policy/engine.js'
import type { CacheProvider } from '../propagation/cache.js'
import { assertHeaderRecord, type HeaderRecord, isHeaders, lowerCased } from '../propagation/headers.js'
import { type InjectableHeaders, injectBaggage } from '../propagation/inject.js'
import { createOutbound, type Outbound } from '../propagation/outbound.js'
import type { PropagateTo } from '../propagation/scope.js'
import type { KestOptions } from './options.js'
import { createRuntime, type Runtime } from './runtime.js'

const INTERNAL: ListenerOptions = Object.freeze({})

/** Headers as they came in: `node:http`'s object, or WHATWG `Headers`. */
export type CarrierHeaders = Headers | Readonly<HeaderRecord>

/**
 * One configured Kest: identity, engine, trust and the rest, and what is made of them. Made by {@link createKest};
 * most applications have one, the default instance of {@link configure}.
 */
export class Kest {
  readonly #runtime: Runtime
  readonly #listeners = new WeakMap<ListenerOptions, Listener>()

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
   * @throws {KestConfigError} naming what is missing, unknown or wrong
   */
  operation<Args extends unknown[] = []>(options: OperationOptions<Args>): OperationDefinition {
    return new OperationDefinition(options)
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
   * have no adapter. The state comes from {@link extract}, {@link resume}, a listener or an operation.
   */
  run<T>(state: KestState, fn: () => T): T {
    return runWithState(state, fn)
  }

  /**
   * The inbound side of a server: restores and verifies lineage and token of each request.
   * @throws {KestConfigError} for options that are unknown or wrong
   */
  listener(options: ListenerOptions = {}): Listener {
    const runtime = this.#runtime
    return createListener(
      {
        identity: runtime.identity,
        trust: runtime.trust,
        propagation: runtime.propagation,
        limits: runtime.limits,
        clock: runtime.clock,
        logger: runtime.logger,
        cache: runtime.signatures,
        replay: runtime.replay,
        onVerified: (result, milliseconds) => runtime.metrics.verified(result, milliseconds),
        onStripped: (count) => runtime.metrics.stripped(count),
      },
      runtime.raisers === null || (options.origin !== undefined && options.acceptLineage !== true)
        ? options
        : { ...options, raisers: options.raisers ?? [...runtime.raisers] },
    )
  }

  /**
   * The outbound side of a client: who gets the passport, and what the header is. With `hop` each dispatch carries a
   * token that this instance's identity signs, for receivers with `binding: 'hop'` (K-HOP).
   * @throws {KestConfigError} when `propagateTo` is missing or wrong (K-SCOPE); with `hop`, when there is no identity
   */
  outbound(options: { readonly propagateTo: PropagateTo; readonly hop?: boolean | undefined }): Outbound {
    const { propagation, identity, identityTimeoutMs, logger } = this.#runtime
    return createOutbound({ ...propagation, identity, identityTimeoutMs, logger, ...options })
  }

  /**
   * What a listener does, once: verifies the lineage in some headers (of a message, a call of another framework).
   * Give the same options object each time: its listener, with the keys that it fetched, is kept by it.
   *
   * @param headers not changed
   * @throws {KestError} as {@link Listener.receive}; `ERR_KEST_CONFIG` for headers of another form, such as a `Map`
   */
  async extract(headers: CarrierHeaders, options: ListenerOptions = INTERNAL): Promise<KestState> {
    const listener = this.#listenerFor(options)
    if (isHeaders(headers)) return listener.receive({ headers: Object.fromEntries(headers) })
    assertHeaderRecord('extract', headers)
    return listener.receive({ headers: lowerCased(headers) })
  }

  /**
   * Takes up a passport that was kept in a queue or a job as its strings: verifies it again, with an age of the
   * caller's own (`maxAgeMs`), and answers the state to {@link run} in (K-RESUME).
   *
   * @example
   * ```ts
   * const state = await kest.resume({ passport: job.passport }, { maxAgeMs: 24 * 3_600_000 })
   * await kest.run(state, () => handle(job))
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
   * @returns the same headers, their `baggage` set, or removed when nothing is left of it
   * @param options.hop whether a token for the receiver goes along (K-HOP); good for one request, within 30 seconds
   * @throws {KestError} `ERR_KEST_TOO_LARGE`, `ERR_KEST_CACHE`, `ERR_KEST_IDENTITY`, `ERR_KEST_CONFIG` for headers of
   *   another form: do not send the request
   */
  inject<H extends InjectableHeaders>(
    headers: H,
    url: string | URL,
    options: { readonly hop?: boolean | undefined } = {},
  ): Promise<H> {
    const target = new URL(url)
    return injectBaggage(this.outbound({ propagateTo: [target.origin], ...options }), headers, target)
  }

  #listenerFor(options: ListenerOptions): Listener {
    let listener = this.#listeners.get(options)
    if (listener === undefined) {
      listener = this.listener(options)
      this.#listeners.set(options, listener)
    }
    return listener
  }

  /** Closes identity, engine, cache and trust, and follows the deployment file no longer. Idempotent as far as they are. */
  async close(): Promise<void> {
    const { identity, engine, cache, trust, deployment } = this.#runtime
    deployment.close()
    await Promise.all([identity, engine, cache, ...trust].map((part) => part?.close?.()))
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
