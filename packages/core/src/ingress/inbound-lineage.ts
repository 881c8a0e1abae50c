import { createSenderCheck, type SenderCheck } from '../binding/sender-check.js'
import { Frame } from '../context/frame.js'
import type { StatedIdentity } from '../context/state.js'
import { KestConfigError, KestError } from '../errors.js'
import { isRoot } from '../passport/graph.js'
import { type Passport, parsePassport } from '../passport/passport.js'
import type { IdentityContext } from '../passport/verified.js'
import type { VerifiedPassport } from '../passport/verified-passport.js'
import { verifyByRules } from '../passport/verify.js'
import { resolveVerifyOptions, tipOf } from '../passport/verify-options.js'
import { stripKest } from '../propagation/baggage.js'
import { BAGGAGE_HEADER, MEMBER } from '../propagation/baggage-names.js'
import { type DecodedMembers, decodeMembers } from '../propagation/restore.js'
import { parseNonce } from '../receipts/receipt-nonce.js'
import { RequestedReceipt } from '../receipts/requested-receipt.js'
import { UNPROVEN_ORIGIN } from '../trust/reserved.js'
import { admit } from './admission.js'
import type { Asking } from './asking.js'
import type { InboundRequest, KeptPassport, ListenerDeps } from './listener.js'
import { DEFAULT_LINEAGE_AGE_MS, type ResolvedListenerOptions } from './listener-options.js'
import { observesLineage } from './observed-refusals.js'
import { assertSameLineage, placesOf, sameNames, takeFromPlaces } from './places.js'
import { createPrincipalRules } from './principals.js'
import { reportStripped } from './reported.js'
import { takeLineageOut } from './take-lineage-out.js'
import type { BaggageIdentity } from './who-acts.js'

/** What a request brought along, as far as it may be believed. */
export interface InboundLineage {
  readonly frame: Frame
  /** The origin of a request that begins here; `null` for one that brought lineage. */
  readonly origin: string | null
  /** Who acts, by the verified tips. */
  readonly identity: StatedIdentity | null
  /** Who acts as the tips' labels say, whether or not they count. */
  readonly claimed: IdentityContext | null
  /** Who acts by unsigned baggage: only to be compared (K-IDENT). */
  readonly baggage: BaggageIdentity
  /** As what it would have been refused, if that were not only observed (K-OBSERVE). */
  readonly observed: KestError | null
  /** What the message is named by the token that it was verified by (K-MESSAGE). */
  readonly messageId?: string | undefined
  /** The receipt that its sender asks for (K-RECEIPT). */
  readonly call?: RequestedReceipt | undefined
}

/** The inbound lineage interceptor (SPEC §8.1). */
export interface LineageInterceptor {
  receive(request: InboundRequest, asking: Asking): Promise<InboundLineage>
  resume(kept: KeptPassport, asking: Asking): Promise<InboundLineage>
}

interface Judged {
  readonly verified: VerifiedPassport
  readonly observed: KestError | null
}

/** What one of the places brought where a request can bring lineage (K-CARRIER). */
interface JudgedPlace extends Judged {
  readonly baggage: BaggageIdentity
  readonly messageId: string | undefined
}

/** Lineage is verified and judged (K-ROOT, K-INGRESS), and required unless the listener is told otherwise (K-OPTIONAL). */
export function createInternalInterceptor(
  deps: ListenerDeps,
  options: ResolvedListenerOptions,
): LineageInterceptor {
  const { mode } = options
  if (mode === 'off') {
    const details = { option: 'listener.mode' }
    deps.logger.warn(details, 'INSECURE: inbound lineage is not verified, and not believed')
  } else if (deps.trust.length === 0) {
    throw new KestConfigError('listener: an internal listener needs trust material, and none is configured')
  }
  assertRootsProven(deps, options)
  if (mode !== 'off') deps.roots?.reads()
  const principalRules = createPrincipalRules(options, deps.identity, deps.roots)
  const checkSender = senderCheckOf(deps, options)
  const { trust, limits, cache } = deps
  // Claims are enforced by `admit`, where traces have an option of their own.
  const rules = resolveVerifyOptions({ trust, limits, mode, semantics: 'report', cache })

  async function judge(
    passport: Passport | null,
    tip: readonly string[] | null,
    signal: AbortSignal | undefined,
    observesRoots: boolean,
  ): Promise<Judged> {
    if (passport === null) throw lineageMissing()
    const effective = principalRules()
    const stated = tip === null ? null : tipOf(tip)
    const verified = await verifyByRules(passport, {
      ...rules,
      effective,
      tip: stated,
      signal: signal ?? null,
    })
    return { verified, observed: admit(verified, options, effective, deps.clock.now(), observesRoots) }
  }

  async function restore(kest: ReadonlyMap<string, string>, asking: Asking): Promise<DecodedMembers> {
    if (!kest.has(MEMBER.claimCheck)) return decodeMembers(kest, deps.propagation)
    asking.begins('claim check', deps.propagation.cache !== null)
    const members = await decodeMembers(kest, deps.propagation)
    asking.answered()
    asking.begins('inbound lineage')
    return members
  }

  async function judgePlace(
    kest: ReadonlyMap<string, string>,
    { peer, signal, message, method, url, body }: InboundRequest,
    asking: Asking,
  ): Promise<JudgedPlace> {
    if (kest.size === 0) throw lineageMissing()
    const sender = checkSender({
      hop: kest.get(MEMBER.hop),
      request: { method, url, body },
      peer,
      token: kest.get(MEMBER.message),
      message,
    })
    const { passport, tip, identity } = await restore(kest, asking)
    if (passport !== null) await sender.canBeSent(passport)
    const judged = await judge(passport, tip, signal, observesLineage(deps))
    asking.answered()
    if (options.binding.kind === 'hop') asking.begins('hop token')
    if (options.binding.kind === 'message') asking.begins('message token')
    await sender.isSent(judged.verified)
    asking.answered()
    return { ...judged, baggage: identity, messageId: sender.messageId }
  }

  function believe({ verified, observed }: Judged, baggage: BaggageIdentity): InboundLineage {
    const { identity, identityBy, claimedIdentity, findings } = verified
    if (findings.length > 0) {
      const message = 'inbound lineage claims more than it has; the claims were ignored'
      deps.refusals.refused({ message }, () => ({ findings }))
    }
    return {
      frame: new Frame(verified.lineage()),
      origin: null,
      identity: identity === null ? null : { context: identity, by: identityBy },
      claimed: claimedIdentity,
      baggage: mode === 'off' ? {} : baggage,
      observed,
    }
  }

  /** Of callers whose lineage was verified, which is of domains that are accepted; never at an edge (K-RECEIPT). */
  function requestedBy(places: readonly ReadonlyMap<string, string>[]): RequestedReceipt | undefined {
    const nonces = new Set(places.flatMap((kest) => kest.get(MEMBER.receipt) ?? []))
    if (nonces.size > 1)
      throw new KestError(
        'ERR_KEST_BAGGAGE',
        `baggage: two places of one request bring another ${MEMBER.receipt}`,
      )
    for (const nonce of nonces) {
      const named = parseNonce(nonce)
      if (options.origin === null && mode !== 'off') return new RequestedReceipt(named)
    }
    return undefined
  }

  return {
    receive: (request, asking) =>
      measured(deps, async () => {
        const places = takeFromPlaces(request, deps.propagation.maxInboundLength)
        const [first, ...others] = places
        if (first === undefined) {
          if (options.lineage === 'optional') return begunAt(UNPROVEN_ORIGIN)
          throw lineageMissing()
        }
        const judged = await judgePlace(first, request, asking)
        let { baggage } = judged
        for (const place of others) {
          const other = await judgePlace(place, request, asking)
          assertSameLineage(judged.verified, other.verified)
          baggage = sameNames(baggage, other.baggage)
        }
        const call =
          request.message === undefined && judged.observed === null ? requestedBy(places) : undefined
        return { ...believe(judged, baggage), messageId: judged.messageId, call }
      }),
    resume: ({ passport, tip = null, signal }, asking) =>
      measured(deps, async () => {
        const parsed = parsePassport(passport, { limits: deps.limits })
        const judged = await judge(parsed, tip, signal, false)
        asking.answered()
        warnOfAge(deps, judged.verified)
        return believe(judged, {})
      }),
  }
}

/** Nothing of Kest's is taken from outside: it is removed and counted, not read (K-EDGE). */
export function createEdgeInterceptor(deps: ListenerDeps, origin: string): LineageInterceptor {
  deps.roots?.willMake(deps.identity)
  return {
    receive: async (request) => {
      const removed = placesOf(request).reduce((sum, place) => sum + takeLineageOut(place), 0)
      if (removed > 0) reportStripped(removed, origin, request.about, deps)
      return begunAt(origin)
    },
    resume: async () => {
      throw new KestConfigError('listener.resume: an edge takes no lineage (K-EDGE)')
    },
  }
}

/**
 * An edge that takes lineage from a partner (K-EDGE): what comes with `kest.*` members, of any kind, is judged as where
 * lineage is required, sender included. Only what comes without any begins here.
 */
export function createPartnerEdgeInterceptor(
  deps: ListenerDeps,
  options: ResolvedListenerOptions,
  origin: string,
): LineageInterceptor {
  const internal = createInternalInterceptor(deps, options)
  deps.roots?.willMake(deps.identity)
  return {
    receive: async (request, asking) =>
      placesOf(request).every((place) => stripKest(place[BAGGAGE_HEADER]).removed === 0)
        ? begunAt(origin)
        : internal.receive(request, asking),
    resume: internal.resume,
  }
}

/** A list that comes later, with the file, finds no root in mode `tip` that it could let begin anything. */
function assertRootsProven({ roots }: ListenerDeps, { mode }: ResolvedListenerOptions): void {
  if (mode !== 'tip' || roots?.current.roots === undefined) return
  throw new KestConfigError(
    'listener.mode: "tip" does not prove who began a lineage, and the deployment file lists who may (K-ROOTS)',
  )
}

/** What is resumed may be older than what others take by default. */
function warnOfAge({ logger, clock }: ListenerDeps, { entries }: VerifiedPassport): void {
  const now = clock.now()
  const age = Math.max(...entries.map((entry) => (isRoot(entry) ? now - entry.entry.timestamp_ms : 0)))
  if (age <= DEFAULT_LINEAGE_AGE_MS) return
  logger.warn(
    { lineage_age_ms: age },
    'a lineage of more than 24 hours was resumed: who is called with it must set maxLineageAgeMs to cover its age (K-FRESH)',
  )
}

function begunAt(origin: string): InboundLineage {
  return { frame: new Frame(), origin, identity: null, claimed: null, baggage: {}, observed: null }
}

function senderCheckOf(deps: ListenerDeps, { binding }: ResolvedListenerOptions): SenderCheck {
  const { namespace, cacheTimeoutMs } = deps.propagation
  const { trust, limits, clock, replay } = deps
  return createSenderCheck(binding, { trust, limits, clock, replay, namespace, cacheTimeoutMs })
}

function lineageMissing(): KestError {
  return new KestError('ERR_KEST_LINEAGE_MISSING', 'no passport came, and lineage is required here (K-ROOT)')
}

async function measured<T>(deps: ListenerDeps, judge: () => Promise<T>): Promise<T> {
  const start = performance.now()
  try {
    const result = await judge()
    deps.onVerified?.('ok', performance.now() - start)
    return result
  } catch (error) {
    if (error instanceof KestError) deps.onVerified?.(error.code, performance.now() - start)
    throw error
  }
}
