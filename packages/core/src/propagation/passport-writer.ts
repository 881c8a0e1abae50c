import { assertLive } from '../context/lifetime.js'
import { currentState, type KestState } from '../context/state.js'
import { currentSigner, signingLate } from '../identity/current-signer.js'
import type { IdentityProvider, Signer } from '../identity/provider.js'
import { inTime } from '../in-time.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import { Lineage } from '../passport/lineage.js'
import type { Logger } from '../telemetry/logger.js'
import { type BaggageLines, type EncodedMember, formatBaggage, stripKest } from './baggage.js'
import { MEMBER } from './baggage-names.js'
import type { ResolvedPropagation } from './options.js'
import { storeAhead, type Tier } from './tiers.js'
import { type WrittenBaggage, writeBaggage } from './write.js'

/** Told of what leaves, or should have. Names are of destinations: origins of requests, URIs of queues and topics. */
export interface OutboundEvents {
  /** Told of each request in scope that is sent where no state is, and so without a passport. */
  readonly onStateless?: ((origin: string) => void) | undefined
  /** Told of each request in scope that is sent where a state is, and no operation: it leaves without a passport as well. */
  readonly onIdle?: ((origin: string) => void) | undefined
  /** Told of each header that carries a passport, when it is ready to be sent. */
  readonly onInjected?: ((event: InjectedEvent) => void) | undefined
}

export interface InjectedEvent {
  /** Where it goes. */
  readonly origin: string
  /** Entries of the passport. */
  readonly entries: number
  /** Characters of the whole header. */
  readonly length: number
  readonly tier: Tier
  /** As of {@link EncodedLineage}. */
  readonly share: number
}

/** Where something goes that may carry a passport. */
export interface Destination {
  readonly name: string
  /** What is sent, in words. */
  readonly what: string
  /** Whether it gets the passport (K-SCOPE). */
  readonly inScope: boolean
  /** What its sender signs for it; `null`: nothing. */
  readonly token: SenderToken | null
  /** What names the dispatch, where a receipt of it is asked for (K-RECEIPT). Default: none is. */
  readonly receipt?: string | undefined
}

/** A token that goes along, made when everything else is known. */
export interface SenderToken {
  readonly identity: IdentityProvider
  readonly identityTimeoutMs: number
  readonly key: typeof MEMBER.hop | typeof MEMBER.message
  sign(signer: Signer, destination: string, tips: readonly string[], room: number): MaybePromise<string>
}

/**
 * The value of a `baggage` header: what others had written, exactly as it is, and in scope the passport as it is at this
 * moment (K-FLOW). Every `kest.*` member that was there, however spelled, is taken out, in scope or not.
 *
 * @param given whose passport; default the ambient state; `null` is none
 * @returns `undefined` when there must be no such header
 */
export function writePassport(
  existing: BaggageLines,
  destination: Destination,
  given: KestState | null | undefined,
  propagation: ResolvedPropagation,
  { logger, ...events }: OutboundEvents & { readonly logger: Logger },
): MaybePromise<string | undefined> {
  const { foreign, removed } = stripKest(existing)
  if (removed > 0) {
    logger.debug(
      { origin: destination.name, members: removed },
      'kest.* members that another hand had written were removed',
    )
  }
  const lineage = lineageFor(destination, given, events)
  if (lineage.length === 0) return formatBaggage(foreign, [])
  const written = write(lineage, foreign, destination, propagation)
  const report = ({ header, tier, share }: WrittenBaggage): string | undefined => {
    if (tier !== null && header !== undefined)
      events.onInjected?.({
        origin: destination.name,
        entries: lineage.length,
        length: header.length,
        tier,
        share,
      })
    return header
  }
  return isPromise(written) ? written.then(report) : report(written)
}

function lineageFor(
  destination: Destination,
  given: KestState | null | undefined,
  { onStateless, onIdle }: OutboundEvents,
): Lineage {
  const state = given === undefined ? currentState() : given
  if (given === null || !destination.inScope) return Lineage.EMPTY
  if (state === null) {
    onStateless?.(destination.name)
    return Lineage.EMPTY
  }
  assertLive(state, `${destination.what} to ${destination.name}`)
  const { lineage } = state.frame
  if (lineage.length === 0) onIdle?.(destination.name)
  return lineage
}

function write(
  lineage: Lineage,
  foreign: readonly string[],
  { name, token, receipt: nonce }: Destination,
  propagation: ResolvedPropagation,
): MaybePromise<WrittenBaggage> {
  const receipt: EncodedMember | undefined = nonce === undefined ? undefined : [MEMBER.receipt, nonce]
  if (token === null) return writeBaggage(lineage, foreign, propagation, undefined, receipt)
  storeAhead(lineage, formatBaggage(foreign, [])?.length ?? 0, propagation)
  const signed = signedToken(token, name, lineage, propagation)
  return isPromise(signed)
    ? signed.then((member) => writeBaggage(lineage, foreign, propagation, member, receipt))
    : writeBaggage(lineage, foreign, propagation, signed, receipt)
}

/** Made for each dispatch: it is for one destination, and used once. */
function signedToken(
  { identity, identityTimeoutMs: ms, key, sign }: SenderToken,
  destination: string,
  { tips }: Lineage,
  { maxMemberLength }: ResolvedPropagation,
): MaybePromise<EncodedMember> {
  const hashes = tips.map(({ hash }) => hash)
  const room = maxMemberLength - key.length - 1
  const member = (text: string): EncodedMember => [key, text]
  const make = (signer: Signer): MaybePromise<EncodedMember> => {
    const text = sign(signer, destination, hashes, room)
    return isPromise(text) ? inTime(text, { ms, late: signingLate }).then(member) : member(text)
  }
  const signer = currentSigner(identity, ms, null)
  return isPromise(signer) ? signer.then(make) : make(signer)
}
