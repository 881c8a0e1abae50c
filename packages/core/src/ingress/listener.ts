import { assertOptions } from '../assert-options.js'
import type { Peer } from '../binding/peer.js'
import type { ReplayStore } from '../binding/replay-store.js'
import type { ReadBody } from '../binding/request-check.js'
import type { Clock } from '../clock.js'
import { Lifetime } from '../context/lifetime.js'
import type { AboutRequest } from '../context/request-facts.js'
import type { KestState } from '../context/state.js'
import { type KestErrorCode, PassportVerificationError } from '../errors.js'
import type { KeySource } from '../identity/key-source.js'
import type { IdentityProvider } from '../identity/provider.js'
import type { Limits } from '../limits.js'
import { type MessageEvidence, recordOf } from '../messages/message.js'
import type { SignatureCache } from '../passport/signature-cache.js'
import type { IdentityContext } from '../passport/verified.js'
import type { ObservationsInForce } from '../policy/observations-in-force.js'
import type { RootsInForce } from '../policy/roots-in-force.js'
import { assertText } from '../propagation/baggage.js'
import { BAGGAGE_HEADER } from '../propagation/baggage-names.js'
import type { HeaderRecord } from '../propagation/headers.js'
import type { ResolvedPropagation } from '../propagation/options.js'
import { Names } from '../pseudonyms/names.js'
import { assertComparable, type Named, type Pseudonymizer } from '../pseudonyms/pseudonymizer.js'
import { describeError, describeWithoutWords } from '../telemetry/describe-error.js'
import { codeOf, failingPart, refusalLevel } from '../telemetry/failing.js'
import type { Logger } from '../telemetry/logger.js'
import type { Outages } from '../telemetry/outages.js'
import type { Refusals } from '../telemetry/refusals.js'
import { remedyOf } from '../telemetry/remedy.js'
import { AUTHORIZATION, assertOneAuthorization } from '../tokens/bearer.js'
import {
  createTokenVerifier,
  expectedOfToken,
  type TokenDeps,
  tokenHeader,
  type VerifiedToken,
} from '../tokens/token.js'
import { sameIdentity } from '../trust/identity-label.js'
import { assertKnownOrigin, type OriginMap } from '../trust/origins.js'
import { Asking } from './asking.js'
import {
  createEdgeInterceptor,
  createInternalInterceptor,
  createPartnerEdgeInterceptor,
  type InboundLineage,
  type LineageInterceptor,
} from './inbound-lineage.js'
import {
  type ListenerOptions,
  type MessageListenerOptions,
  type ResolvedListenerOptions,
  resolveListenerOptions,
  resolveMessageListenerOptions,
} from './listener-options.js'
import { insteadOf, reportObserved } from './observed-refusals.js'
import { placesOf } from './places.js'
import { whoActs } from './who-acts.js'
import { takeWithin } from './within.js'

/** Header fields as `node:http` gives them: names in lower case, repeated fields joined or as a list. */
export type InboundHeaders = HeaderRecord

/** A request that came in, as far as Kest is concerned. */
export interface InboundRequest {
  /** The listener takes the `kest.*` members out of `baggage` here, so that nobody behind it hands them on. */
  readonly headers: InboundHeaders
  /**
   * Other places where this request can bring lineage, such as what an RPC has beside its payload (K-CARRIER). An edge takes it out
   * of all, unread. Elsewhere each is judged, and those that bring any must bring the same tips. Default: none.
   */
  readonly also?: readonly InboundHeaders[] | undefined
  /** The message that it is, with `binding: 'message'` (K-MESSAGE). */
  readonly message?: MessageEvidence | undefined
  /** `IncomingMessage.rawHeaders`: lets a doubled `Authorization` be noticed, of which `headers` shows the first. */
  readonly rawHeaders?: readonly string[] | undefined
  /**
   * The method, and the URL as in the request line: for proofs that a token's sender has its key (DPoP), and for hop tokens
   * that are bound to them (K-BODY).
   */
  readonly method?: string | undefined
  readonly url?: string | undefined
  /** Reads its content, for hop tokens that are bound to it (K-BODY): what `bodyOf` answers. */
  readonly body?: ReadBody | undefined
  /** Who is at the other end of the connection, for `binding: 'mtls'`: what `peerOf(socket)` answers. */
  readonly peer?: Peer | undefined
  /** Aborts when whoever asked has left. */
  readonly signal?: AbortSignal | undefined
  /** Whether the route lets a token name somebody else than the lineage does (K-IDENT). Default `false`. */
  readonly switchIdentity?: boolean | undefined
  /** What the log says of it: what {@link requestFacts} answers. */
  readonly about?: AboutRequest | undefined
}

/** A passport that was kept, and is to be continued. */
export interface KeptPassport {
  /** The passport's JSON, its strings, or a {@link Passport}. */
  readonly passport: unknown
  /** Hashes of the tips, if they were kept as well (K-TIP). */
  readonly tip?: readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
}

/** Where requests come in: turns what a caller sends into what Kest knows about the request. */
export interface Listener {
  /** The origin of an edge; `null` where lineage is required, or `optional`. */
  readonly origin: string | null
  /** How it knows the sender (K-HOP). With `mtls` a request needs its `peer`. */
  readonly binding: 'none' | 'mtls' | 'hop'
  /** Whether requests may bring lineage. Their answers depend on it, and must say so: `varyByBaggage`. */
  readonly takesLineage: boolean
  /** The headers that lineage and token are in, in lower case. */
  readonly reads: readonly string[]
  /**
   * Judges a request, before anything else runs. The state is the request's: run the rest in it, and end it when the
   * request is over (`RequestTerm`, or `kest.end(state)`). It is good for `maxStateMs`, and no longer than its token.
   *
   * Where the deployment file only observes lineage (K-OBSERVE), what it would answer 403 goes on as a request without any,
   * worth nothing; what is malformed, a wrong token and what cannot be decided are refused as ever.
   *
   * @throws {KestError} what makes it refuse the request; `toProblem` makes the answer.
   */
  receive(request: InboundRequest): Promise<KestState>
  /**
   * Judges a passport out of a queue or a job by the rules of this listener (K-RESUME): what was verified when it
   * was put there is verified again.
   *
   * @throws {KestError} as {@link receive}; `ERR_KEST_CONFIG` at an edge, which takes no lineage.
   */
  resume(kept: KeptPassport): Promise<KestState>
  /**
   * Takes lineage out of a carrier within a request that was judged already (K-CARRIER): a call that an HTTP request carries. It adds no
   * parents. Where the request has brought lineage, that in the carrier must have the same tips; where it has begun here, and at an edge, it
   * is removed and counted, unread.
   *
   * @param state the request's, or an operation's in it
   * @throws {KestError} by rejecting: `ERR_KEST_TIP`, `ERR_KEST_BAGGAGE`
   */
  within(state: KestState, request: Pick<InboundRequest, 'headers' | 'about'>): Promise<void>
}

/** What a listener works with (P8). */
export interface ListenerDeps {
  /** Says which trust domain is one's own; `null`: none is. */
  readonly identity: IdentityProvider | null
  readonly trust: readonly KeySource[]
  /** Names those who act (K-PSEUDONYM); default: in clear. */
  readonly pseudonyms?: Pseudonymizer | null
  /** Says who may begin lineage (K-ROOTS); default: whoever is accepted may. */
  readonly roots?: RootsInForce
  /** Says which refusals are only observed (K-OBSERVE); default: none. */
  readonly observations?: ObservationsInForce
  readonly propagation: ResolvedPropagation
  readonly limits: Limits
  readonly origins: OriginMap
  readonly clock: Clock
  readonly logger: Logger
  readonly outages: Outages
  readonly refusals: Refusals
  readonly cache: SignatureCache
  /** Of hop tokens, where the listener is given none. */
  readonly replay: ReplayStore
  /** After each inbound passport, missing ones included. */
  onVerified?(result: 'ok' | KestErrorCode, milliseconds: number): void
  /** When a request goes on that would be refused (K-OBSERVE). */
  onObserved?(code: KestErrorCode): void
  /** When an edge removed members. */
  onStripped?(count: number): void
}

/**
 * Makes a listener. An internal one (default) requires lineage that verifies, is fresh, of one trace and of accepted
 * domains, with all its tips agreeing on who acts (with `lineage: 'optional'` of what brings any); an edge (`origin`) takes none, and starts with an empty frame. Both
 * validate a bearer token if told how.
 *
 * Not checked, unless a `binding` says how: who the sender is. A fresh passport can be replayed by whoever saw it
 * (K-DECLARED).
 *
 * @throws {KestConfigError} for an option that is unknown, wrong, or not to be had; for an origin without a score; for an internal listener without
 * trust material.
 *
 * @example
 * ```ts
 * const listener = createListener(deps, { token: { jwks, issuer, audience } })
 * const state = await listener.receive({ headers: request.headers, rawHeaders: request.rawHeaders })
 * await runWithState(state, () => handle(request)).finally(() => state.lifetime.end())
 * ```
 */
export function createListener(deps: ListenerDeps, options: ListenerOptions = {}): Listener {
  const resolved = resolveListenerOptions(options)
  return Object.freeze({ ...listenerOf(deps, resolved), binding: resolved.binding.kind })
}

/** Where messages come in. */
export type MessageListener = Omit<Listener, 'binding'>

/**
 * As {@link createListener}, for what reads messages.
 * @throws {KestConfigError}
 */
export function createMessageListener(deps: ListenerDeps, options: MessageListenerOptions): MessageListener {
  return listenerOf(deps, resolveMessageListenerOptions(options))
}

function listenerOf(deps: ListenerDeps, resolved: ResolvedListenerOptions): MessageListener {
  const { origin } = resolved
  if (origin !== null) assertKnownOrigin('listener.origin', origin, deps.origins)
  const edge = resolved.acceptLineage ? null : origin
  const lineage = createInterceptor(deps, resolved)
  const verifyToken = resolved.token === null ? null : createTokenVerifier(resolved.token, tokenDeps(deps))
  const header = resolved.token === null ? AUTHORIZATION : tokenHeader(resolved.token)
  const expected = resolved.token === null ? undefined : expectedOfToken(resolved.token)

  async function lineageOf(request: InboundRequest, asking: Asking): Promise<InboundLineage> {
    for (const place of placesOf(request)) assertText(place[BAGGAGE_HEADER])
    return lineage.receive(request, asking)
  }

  async function tokenOf({
    headers,
    rawHeaders,
    method,
    url,
  }: InboundRequest): Promise<VerifiedToken | null> {
    if (verifyToken === null) return null
    if (rawHeaders !== undefined) assertOneAuthorization(rawHeaders)
    return verifyToken(headers[header], { method, url, proof: headers['dpop'] })
  }

  /** Whom the token names, as it is signed beside this lineage. */
  async function named(
    token: VerifiedToken | null,
    lineage: IdentityContext | null,
    signal: AbortSignal | undefined,
    asking: Asking,
  ): Promise<Partial<Named>> {
    if (token === null) return {}
    if (deps.pseudonyms == null) {
      assertComparable(token.identity, lineage)
      return { identity: token.identity }
    }
    asking.begins('pseudonym keys')
    const own = await deps.pseudonyms.nameToken(token, { lineage, signal: signal ?? null })
    asking.answered()
    return own
  }

  /** The lineage, or what goes on instead of it where it and the token do not agree on who acts; and whom the token names. */
  async function identified(
    brought: InboundLineage,
    token: VerifiedToken | null,
    { switchIdentity = false, signal }: InboundRequest,
    asking: Asking,
  ): Promise<InboundLineage & { readonly own: Partial<Named> }> {
    const { identity: lineage, claimed, baggage } = brought
    try {
      const own = await named(token, lineage?.context ?? null, signal, asking)
      const sources = { lineage, claimed, token: own.identity ?? null, baggage, switchIdentity }
      return { ...brought, identity: whoActs(sources), own }
    } catch (error) {
      const instead = insteadOf(error, deps)
      const own = await named(token, null, signal, asking)
      const sources = { lineage: null, token: own.identity ?? null, baggage: {}, switchIdentity }
      return { ...instead, identity: whoActs(sources), own }
    }
  }

  function lifetimeOf(token: VerifiedToken | null): Lifetime {
    const bound = deps.clock.now() + resolved.maxStateMs
    return new Lifetime(deps.clock, Math.min(bound, token?.validUntil ?? bound))
  }

  return Object.freeze({
    origin,
    takesLineage: origin === null || resolved.acceptLineage,
    reads: Object.freeze([BAGGAGE_HEADER, header]),
    receive: (request: InboundRequest) =>
      logged(deps, { about: request.about, expected }, async (asking): Promise<KestState> => {
        const { signal = null, about } = request
        const brought = await lineageOf(request, asking).catch((error: unknown) => insteadOf(error, deps))
        asking.begins('bearer token')
        const token = await tokenOf(request)
        if (token !== null) asking.answered()
        const { identity, own, ...inbound } = await identified(brought, token, request, asking)
        const { frame, origin: begun, observed, messageId, call } = inbound
        const identityStated =
          own.identity !== undefined && sameIdentity(identity?.context ?? null, own.identity)
        const lifetime = lifetimeOf(token)
        const jwt = token?.jwt ?? null
        if (observed !== null) reportObserved(observed, deps, about)
        return {
          frame,
          origin: begun,
          identity,
          // Behind the edge everybody sees pseudonyms, whoever has a token as well.
          ...(deps.pseudonyms && begun !== null && { names: own.names ?? Names.NONE }),
          identityStated,
          ...(observed !== null && { observed: [{ code: observed.code, policy: null, tier: 'lineage' }] }),
          ...(call && { call }),
          jwt,
          ...(token !== null && token.txn !== null && { txn: token.txn }),
          signal,
          lifetime,
          ...(about && { request: about }),
          ...(request.message && { message: recordOf(request.message, messageId) }),
        }
      }),
    resume: (kept: KeptPassport) =>
      logged(deps, {}, async (asking): Promise<KestState> => {
        assertOptions('resume', kept, ['passport', 'tip', 'signal'])
        const { frame, origin, identity } = await lineage.resume(kept, asking)
        return { frame, origin, identity, jwt: null, signal: kept.signal ?? null, lifetime: lifetimeOf(null) }
      }),
    within: (state: KestState, request: Pick<InboundRequest, 'headers' | 'about'>) =>
      logged(deps, { about: request.about }, async () => takeWithin(state, request, deps, edge)),
  })
}

function tokenDeps({ clock, logger, replay, propagation }: ListenerDeps): TokenDeps {
  const { namespace, cacheTimeoutMs } = propagation
  return { clock, logger, replay, namespace, cacheTimeoutMs }
}

function createInterceptor(deps: ListenerDeps, options: ResolvedListenerOptions): LineageInterceptor {
  const { origin, acceptLineage } = options
  if (origin === null) return createInternalInterceptor(deps, options)
  return acceptLineage
    ? createPartnerEdgeInterceptor(deps, options, origin)
    : createEdgeInterceptor(deps, origin)
}

/** What the operator is told beside the reason. */
interface Known {
  readonly about?: AboutRequest | undefined
  /** Of tokens. */
  readonly expected?: Readonly<Record<string, unknown>> | undefined
}

/** The client learns a code; the operator, here, what it was. */
async function logged<T>(
  { outages, refusals, pseudonyms }: ListenerDeps,
  { about, expected }: Known,
  judge: (asking: Asking) => Promise<T>,
): Promise<T> {
  const asking = new Asking(outages)
  try {
    return await judge(asking)
  } catch (error) {
    const code = codeOf(error)
    const what = asking.exists ? failingPart(error) : undefined
    const details = () => {
      const { index, entryId } =
        error instanceof PassportVerificationError ? error : { index: undefined, entryId: undefined }
      return { ...about?.(), index, entry_id: entryId }
    }
    if (what === undefined) {
      refusals.refused({ code, level: refusalLevel(error), message: 'inbound request refused' }, () => ({
        ...details(),
        // A function of the claims may have failed, and say whose they were.
        err: pseudonyms == null ? describeError(error) : describeWithoutWords(error),
        ...(code === 'ERR_KEST_TOKEN' && { expected }),
        remedy: remedyOf(error),
      }))
    } else outages.failed({ what, asked: asking.what, code, error, details })
    throw error
  }
}
