import { createHopToken } from '../binding/hop-token.js'
import { assertLive } from '../context/lifetime.js'
import { currentState, type KestState } from '../context/state.js'
import { KestConfigError } from '../errors.js'
import { currentSigner, signingLate } from '../identity/current-signer.js'
import type { IdentityProvider, Signer } from '../identity/provider.js'
import { inTime } from '../in-time.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import { Lineage } from '../passport/lineage.js'
import type { Logger } from '../telemetry/logger.js'
import { type BaggageLines, formatBaggage, stripKest } from './baggage.js'
import { MEMBER } from './baggage-names.js'
import { type PropagationOptions, type ResolvedPropagation, resolvePropagation } from './options.js'
import { compileScope, type PropagateTo } from './scope.js'
import { storeAhead, type Tier } from './tiers.js'
import { type WrittenBaggage, writeBaggage } from './write.js'

export interface OutboundOptions extends PropagationOptions {
  /** Which origins receive the passport. There is no default (K-SCOPE). */
  readonly propagateTo: PropagateTo
  /**
   * Whether each dispatch carries a token for the origin called (`kest.hop`), which receivers with `binding: 'hop'` ask
   * for (K-HOP). It costs a signature of `identity`. Default `false`.
   */
  readonly hop?: boolean | undefined
  /** Who sends; needed with `hop`. */
  readonly identity?: IdentityProvider | null | undefined
  /** How long it may take to say who signs, and to sign, each, milliseconds. Default 5000. */
  readonly identityTimeoutMs?: number | undefined
  readonly logger: Logger
  /** Told of each request in scope that is sent where no state is, and so without a passport. */
  readonly onStateless?: ((origin: string) => void) | undefined
  /** Told of each request in scope that is sent where a state is, and no operation: it leaves without a passport as well. */
  readonly onIdle?: ((origin: string) => void) | undefined
  /** Told of each request in scope that was answered, and whose passport nobody asked for. */
  readonly onBypassed?: ((origin: string) => void) | undefined
  /** Told of each header that carries a passport, when it is ready to be sent. */
  readonly onInjected?: ((event: InjectedEvent) => void) | undefined
}

export interface InjectedEvent {
  /** Origin of the request. */
  readonly origin: string
  /** Entries of the passport. */
  readonly entries: number
  /** Characters of the whole header. */
  readonly length: number
  readonly tier: Tier
  /** As of {@link EncodedLineage}. */
  readonly share: number
}

/** Puts passports on outgoing requests, whatever client sends them (F-CP-03). */
export interface Outbound {
  /**
   * Whether requests to this URL carry the passport.
   * @throws {KestError} `ERR_KEST_OUTBOUND` when the operator's function fails to say
   */
  allows(url: URL): boolean
  /**
   * The value of the `baggage` header for one dispatch to `url` (K-REDIRECT): what others had written, exactly as it
   * is, and in scope the passport as it is at this moment (K-FLOW). Every `kest.*` member that was there, however
   * spelled, is taken out, in scope or not.
   *
   * @param existing the header or headers that the request already has
   * @param url where this dispatch goes
   * @param state whose passport; default the ambient state; `null` is none
   * @returns `undefined` when the request must have no such header
   * @throws {KestError} the request must not be sent: `ERR_KEST_STATE_ENDED` in scope, when the state is over (K-STATE),
   *   `ERR_KEST_TOO_LARGE` when the passport does not fit,
   *   `ERR_KEST_CACHE` when the claim check cannot be stored, `ERR_KEST_IDENTITY` when the hop token cannot be signed,
   *   `ERR_KEST_OUTBOUND` as for {@link allows}. Thrown at once or by the promise.
   */
  baggage(existing: BaggageLines, url: URL, state?: KestState | null): MaybePromise<string | undefined>
  /**
   * Says that a request to `url` was answered, and that its client never came by {@link baggage}: it goes another way than
   * it was told. Where a passport should have been on it, that is counted and warned of.
   *
   * @param state as for {@link baggage}
   * @throws {KestError} `ERR_KEST_OUTBOUND` as for {@link allows}
   */
  bypassed(url: URL, state?: KestState | null): void
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
    hop = false,
    identity = null,
    logger,
    onInjected,
    onStateless,
    onIdle,
    onBypassed,
    ...others
  } = options
  const { identityTimeoutMs = 5_000, ...rest } = others
  const allows = compileScope(propagateTo)
  const propagation = resolvePropagation(rest)
  const sender = senderOf(hop, identity)

  function baggage(
    existing: BaggageLines,
    url: URL,
    given?: KestState | null,
  ): MaybePromise<string | undefined> {
    const { foreign, removed } = stripKest(existing)
    if (removed > 0) {
      logger.debug(
        { origin: url.origin, members: removed },
        'kest.* members that another hand had written were removed',
      )
    }
    const lineage = lineageFor(url, given)
    if (lineage.length === 0) return formatBaggage(foreign, [])
    const written = write(lineage, foreign, url.origin)
    const report = ({ header, tier, share }: WrittenBaggage): string | undefined => {
      if (tier !== null && header !== undefined)
        onInjected?.({ origin: url.origin, entries: lineage.length, length: header.length, tier, share })
      return header
    }
    return isPromise(written) ? written.then(report) : report(written)
  }

  function lineageFor(url: URL, given: KestState | null | undefined): Lineage {
    const state = given === undefined ? currentState() : given
    if (given === null || !allows(url)) return Lineage.EMPTY
    if (state === null) {
      onStateless?.(url.origin)
      return Lineage.EMPTY
    }
    assertLive(state, `request to ${url.origin}`)
    const { lineage } = state.frame
    if (lineage.length === 0) onIdle?.(url.origin)
    return lineage
  }

  function bypassed(url: URL, given?: KestState | null): void {
    const state = given === undefined ? currentState() : given
    if (state === null || state.frame.lineage.length === 0 || !allows(url)) return
    onBypassed?.(url.origin)
  }

  function write(lineage: Lineage, foreign: readonly string[], origin: string): MaybePromise<WrittenBaggage> {
    if (sender === null) return writeBaggage(lineage, foreign, propagation)
    storeAhead(lineage, formatBaggage(foreign, [])?.length ?? 0, propagation)
    const token = hopToken(sender, lineage, origin, propagation, identityTimeoutMs)
    return isPromise(token)
      ? token.then((value) => writeBaggage(lineage, foreign, propagation, value))
      : writeBaggage(lineage, foreign, propagation, token)
  }

  return { allows, baggage, bypassed }
}

function senderOf(hop: unknown, identity: IdentityProvider | null): IdentityProvider | null {
  if (typeof hop !== 'boolean')
    throw new KestConfigError(`outbound.hop: expected a boolean, got ${typeof hop}`)
  if (!hop) return null
  if (identity === null)
    throw new KestConfigError('outbound.hop: a hop token is signed, and no identity is configured (K-HOP)')
  return identity
}

/** K-HOP. Made for each dispatch: it is for one origin, and used once. */
function hopToken(
  sender: IdentityProvider,
  lineage: Lineage,
  origin: string,
  { clock, limits, maxMemberLength }: ResolvedPropagation,
  timeoutMs: number,
): MaybePromise<string> {
  const tips = lineage.tips.map(({ hash }) => hash)
  const room = maxMemberLength - MEMBER.hop.length - 1
  const sign = (signer: Signer): MaybePromise<string> => {
    const token = createHopToken(signer, origin, tips, clock.now(), limits, room)
    return isPromise(token) ? inTime(token, { ms: timeoutMs, late: signingLate }) : token
  }
  const signer = currentSigner(sender, timeoutMs, null)
  return isPromise(signer) ? signer.then(sign) : sign(signer)
}
