import {
  type BoundPart,
  boundTo,
  type HopOptions,
  resolveHop,
  type SentRequest,
} from '../binding/bound-request.js'
import { createHopToken } from '../binding/hop-token.js'
import { currentState, type KestState } from '../context/state.js'
import { KestConfigError } from '../errors.js'
import type { IdentityProvider } from '../identity/provider.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { AwaitedReceipt } from '../receipts/awaited-receipt.js'
import type { ReceiptDesk } from '../receipts/receipt-desk.js'
import type { Logger } from '../telemetry/logger.js'
import type { BaggageLines } from './baggage.js'
import { MEMBER } from './baggage-names.js'
import { type PropagationOptions, resolvePropagation } from './options.js'
import { type Destination, type OutboundEvents, type SenderToken, writePassport } from './passport-writer.js'
import { compileScope, type PropagateTo } from './scope.js'

export interface OutboundOptions extends PropagationOptions, OutboundEvents {
  /** Which origins receive the passport. There is no default (K-SCOPE). */
  readonly propagateTo: PropagateTo
  /**
   * Whether each dispatch carries a token for the origin called (`kest.hop`), which receivers with `binding: 'hop'` ask
   * for (K-HOP), and what of the request each is bound to (K-BODY). It costs a signature of `identity`. Default `false`.
   */
  readonly hop?: boolean | HopOptions | undefined
  /** Who sends; needed with `hop`. */
  readonly identity?: IdentityProvider | null | undefined
  /** How long it may take to say who signs, and to sign, each, milliseconds. Default 5000. */
  readonly identityTimeoutMs?: number | undefined
  readonly logger: Logger
  /** Told of each request in scope that was answered, and whose passport nobody asked for. */
  readonly onBypassed?: ((origin: string) => void) | undefined
  /** Where receipts are asked for; default: none are. */
  readonly receipts?: ReceiptDesk | null | undefined
}

/** Puts passports on outgoing requests, whatever client sends them (F-CP-03). */
export interface Outbound {
  /**
   * Whether requests to this URL carry the passport.
   * @throws {KestError} `ERR_KEST_OUTBOUND` when the operator's function fails to say
   */
  allows(url: URL): boolean
  /** What of a request its hop token is bound to (K-BODY); nothing by default. */
  readonly binds: ReadonlySet<BoundPart>
  /**
   * How long the body of a request to `url` may be, bytes, where its token is bound to it: it has to be read first, and given
   * to {@link baggage}. `null`: the body need not be known, since nothing is bound to it, or there is no passport.
   *
   * @param state as for {@link baggage}
   * @throws {KestError} `ERR_KEST_OUTBOUND` as for {@link allows}
   */
  bodyLimit(url: URL, state?: KestState | null): number | null
  /**
   * The value of the `baggage` header for one dispatch to `url` (K-REDIRECT): what others had written, exactly as it
   * is, and in scope the passport as it is at this moment (K-FLOW). Every `kest.*` member that was there, however
   * spelled, is taken out, in scope or not.
   *
   * @param existing the header or headers that the request already has
   * @param url where this dispatch goes
   * @param state whose passport; default the ambient state; `null` is none
   * @param sent what is sent, for what its token {@link binds}
   * @returns `undefined` when the request must have no such header
   * @throws {KestError} the request must not be sent: `ERR_KEST_STATE_ENDED` in scope, when the state is over (K-STATE),
   *   `ERR_KEST_TOO_LARGE` when the passport does not fit,
   *   `ERR_KEST_CACHE` when the claim check cannot be stored, `ERR_KEST_IDENTITY` when the hop token cannot be signed,
   *   `ERR_KEST_OUTBOUND` as for {@link allows}, and when what is bound was not said; `ERR_KEST_RECEIPT` where receipts are required
   *   (K-RECEIPT): whoever comes by this sees no answer. Thrown at once or by the promise.
   */
  baggage(
    existing: BaggageLines,
    url: URL,
    state?: KestState | null,
    sent?: SentRequest,
  ): MaybePromise<string | undefined>
  /**
   * As {@link baggage}, for clients that see the answer: with the receipt that the dispatch asks for, where receipts are
   * configured (K-RECEIPT). Once for each dispatch, retries and redirects included.
   *
   * @throws {KestError} as {@link baggage}; `ERR_KEST_RECEIPT` where there must be a receipt and nobody is configured to give it
   */
  depart(
    existing: BaggageLines,
    url: URL,
    state?: KestState | null,
    sent?: SentRequest,
  ): MaybePromise<Departing>
  /**
   * Says that a request to `url` was answered, and that its client never came by {@link baggage}: it goes another way than
   * it was told. Where a passport should have been on it, that is counted and warned of.
   *
   * @param state as for {@link baggage}
   * @throws {KestError} `ERR_KEST_OUTBOUND` as for {@link allows}
   */
  bypassed(url: URL, state?: KestState | null): void
}

/** What one dispatch leaves with. */
export interface Departing {
  /** The value of its `baggage` header; `undefined`: it must have none. */
  readonly baggage: string | undefined
  /** The receipt that it asks for; `null`: none. */
  readonly receipt: AwaitedReceipt | null
}

/**
 * Makes an {@link Outbound}.
 * @throws {KestConfigError} for options of the wrong form
 *
 * @example
 * ```ts
 * const outbound = createOutbound({ propagateTo: ['http://hop2:8000'], logger })
 * const baggage = await outbound.baggage(headers.get('baggage') ?? undefined, url)
 * ```
 */
export function createOutbound(options: OutboundOptions): Outbound {
  const {
    propagateTo,
    hop: given,
    identity = null,
    logger,
    onInjected,
    onStateless,
    onIdle,
    onBypassed,
    receipts = null,
    ...others
  } = options
  const { identityTimeoutMs = 5_000, ...rest } = others
  const allows = compileScope(propagateTo)
  const propagation = resolvePropagation(rest)
  const { clock, limits } = propagation
  const hop = resolveHop('outbound.hop', given)
  const binds: ReadonlySet<BoundPart> = hop?.bind ?? new Set()
  const sender = hop === null ? null : senderOf(identity)
  const told = { logger, onInjected, onStateless, onIdle }

  function baggage(
    existing: BaggageLines,
    url: URL,
    given?: KestState | null,
    sent?: SentRequest,
  ): MaybePromise<string | undefined> {
    const destination = destinationOf(url, given, sent)
    if (receipts !== null && carries(url, given)) receipts.unasked(url)
    return writePassport(existing, destination, given, propagation, told)
  }

  function destinationOf(
    url: URL,
    given: KestState | null | undefined,
    sent: SentRequest | undefined,
  ): Destination {
    const token = sender === null ? null : tokenFor(sender, sent)
    return { name: url.origin, what: 'request', inScope: given !== null && allows(url), token }
  }

  function depart(
    existing: BaggageLines,
    url: URL,
    given?: KestState | null,
    sent?: SentRequest,
  ): MaybePromise<Departing> {
    const destination = destinationOf(url, given, sent)
    const receipt = destination.inScope ? receiptOf(url, given === undefined ? currentState() : given) : null
    const written = writePassport(
      existing,
      receipt === null ? destination : { ...destination, receipt: receipt.nonce },
      given,
      propagation,
      told,
    )
    const departing = (baggage: string | undefined): Departing => ({ baggage, receipt })
    return isPromise(written) ? written.then(departing) : departing(written)
  }

  /** Of a state that has ended nothing is sent, which is said where the passport is written. */
  function receiptOf(url: URL, state: KestState | null): AwaitedReceipt | null {
    if (receipts === null || state === null || state.lifetime.ended || state.frame.lineage.length === 0)
      return null
    return receipts.ask(url, state.frame)
  }

  function tokenFor(identity: IdentityProvider, sent: SentRequest | undefined): SenderToken {
    return {
      identity,
      identityTimeoutMs,
      key: MEMBER.hop,
      sign: (signer, origin, tips, room) =>
        createHopToken(signer, origin, tips, clock.now(), limits, room, boundTo(binds, sent)),
    }
  }

  function bodyLimit(url: URL, given?: KestState | null): number | null {
    return hop?.bind.has('body') && carries(url, given) ? hop.maxBodyBytes : null
  }

  function bypassed(url: URL, given?: KestState | null): void {
    if (carries(url, given)) onBypassed?.(url.origin)
  }

  /** Whether there is a passport to be sent there. */
  function carries(url: URL, given: KestState | null | undefined): boolean {
    const state = given === undefined ? currentState() : given
    return state !== null && state.frame.lineage.length > 0 && allows(url)
  }

  return { allows, binds, bodyLimit, baggage, depart, bypassed }
}

function senderOf(identity: IdentityProvider | null): IdentityProvider {
  if (identity === null)
    throw new KestConfigError('outbound.hop: a hop token is signed, and no identity is configured (K-HOP)')
  return identity
}
