import type { IncomingMessage, ServerResponse } from 'node:http'
import { context } from '@opentelemetry/api'
import { assertOptions } from '../assert-options.js'
import { peerOf } from '../binding/peer.js'
import { getActiveKest } from '../config/active.js'
import type { Kest } from '../config/kest.js'
import { type RequestFacts, requestFacts } from '../context/request-facts.js'
import { KestConfigError } from '../errors.js'
import type { Listener } from '../ingress/listener.js'
import type { ListenerOptions } from '../ingress/listener-options.js'
import { toStateGraceMs } from '../ingress/request-term.js'
import { closeAnsweredUpgrade } from '../ingress/upgrade.js'
import { bodyOf } from './body.js'
import { Caller } from './caller.js'
import { type Arrival, contextOf, Exchange } from './exchange.js'
import { guardReceiptHeader } from './guard-receipt-header.js'

/** What every adapter takes, beside what its framework makes possible. */
export interface AdapterOptions extends ListenerOptions {
  /** Default: the active one (`configure`), as it is when the adapter is made. */
  readonly kest?: Kest | undefined
  /**
   * Who answers when Kest refuses: `respond` (default) answers problem+json (RFC 9457) that tells a code and nothing more,
   * `next` hands the error to the framework's error handling, which must keep its message from the client.
   */
  readonly onError?: 'respond' | 'next' | undefined
  /**
   * How long operations begin and calls leave in a request's state after its response is closed, milliseconds, where no
   * handler's promise is there to say that it is done (K-STATE). Default 10,000.
   */
  readonly stateGraceMs?: number | undefined
  /**
   * What `request.kest.fetch` calls: a `fetch` that carries passports, such as `createKestFetch()` of `@kest/undici` makes.
   * Default: the global one, as it is at each call.
   */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/** Where the requests of a framework come in. */
export interface Ingress {
  readonly kest: Kest
  readonly listener: Listener
  readonly onError: 'respond' | 'next'
  readonly stateGraceMs: number
  readonly fetch: typeof globalThis.fetch | undefined
  /**
   * Judges a request, before anything else of the application runs. What reads its headers behind finds no lineage in them.
   *
   * @throws {KestError} what makes it refuse the request; `toProblem` makes the answer
   */
  receive(arrival: Arrival): Promise<Exchange>
}

const ARRIVAL: ReadonlySet<string> = new Set<keyof Arrival>([
  'request',
  'response',
  'url',
  'bodyLimit',
  'switchIdentity',
  'isProtected',
  'known',
  'isHandedOver',
  'context',
])

/**
 * For adapters: what they share, with its options checked. `docs/adapters.md` says what an adapter has to do.
 *
 * @param where the adapter's name, for what is wrong with its options
 * @throws {KestConfigError} for options that are unknown or wrong, an internal listener without trust material, and when
 * Kest is not configured.
 *
 * @example
 * ```ts
 * const ingress = createIngress('kestKoa', options)
 * const exchange = await ingress.receive({ request: ctx.req, response: ctx.res })
 * ```
 */
export function createIngress(where: string, options: AdapterOptions): Ingress {
  const {
    kest = getActiveKest(),
    onError = 'respond',
    stateGraceMs: graceMs,
    fetch,
    ...listenerOptions
  } = options
  const stateGraceMs = toStateGraceMs(where, graceMs)
  if (fetch !== undefined && typeof fetch !== 'function')
    throw new KestConfigError(`${where}.fetch: expected a function`)
  if (onError !== 'respond' && onError !== 'next')
    throw new KestConfigError(`${where}.onError: expected "respond" or "next", got ${String(onError)}`)
  if (typeof kest?.begin !== 'function' || typeof kest.listener !== 'function')
    throw new KestConfigError(`${where}.kest: expected what createKest or configure answered`)
  const listener = kest.listener(listenerOptions)

  async function receive(arrival: Arrival): Promise<Exchange> {
    assertOptions('ingress.receive', arrival, ARRIVAL)
    const { request, response, url, bodyLimit, switchIdentity, known } = arrival
    const about = (): RequestFacts => requestFacts(request, known)
    // The listener tells of what it refuses.
    let isJudging = false
    try {
      // Nothing but Node's own is one.
      closeAnsweredUpgrade(request as IncomingMessage, response as ServerResponse)
      let exchange: Exchange | null = null
      guardReceiptHeader(response, () => exchange?.receipt ?? null)
      const caller = new Caller(request, response)
      const inbound = {
        headers: request.headers,
        rawHeaders: request.rawHeaders,
        method: request.method,
        url: url ?? request.url,
        body: bodyOf(request, response, bodyLimit),
        ...(listener.binding === 'mtls' && { peer: peerOf(request.socket) }),
        signal: caller.signal,
        about,
        switchIdentity,
      }
      const state = await context.with(kest.cleanContext(contextOf(arrival)), () => {
        isJudging = true
        return listener.receive(inbound)
      })
      isJudging = false
      exchange = new Exchange(ingress, arrival, caller, state)
      return exchange
    } catch (error) {
      if (!isJudging) kest.unexpected(error, about)
      throw error
    }
  }

  const ingress = Object.freeze({ kest, listener, onError, stateGraceMs, fetch, receive })
  return ingress
}
