import { KestError } from '../errors.js'
import { headerLimits } from '../limits.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import { type Passport, parsePassport } from '../passport/passport.js'
import { isStatedTips } from '../passport/stated-tips.js'
import { MEMBER } from './baggage-names.js'
import { isClaimCheck, resolveClaim } from './claim-check.js'
import { decompress } from './compression.js'
import type { ResolvedPropagation } from './options.js'

/** What the `kest.*` members of a request say. Nothing of it is verified. */
export interface DecodedMembers {
  readonly passport: Passport | null
  /**
   * `kest.chain_tip`: entry hashes that must be the passport's tips (K-TIP), or their digest by itself (K-TIPS). Comparing
   * them is the verifier's work.
   */
  readonly tip: readonly string[] | null
  /** Unsigned, for comparison with what the lineage says (K-IDENT). */
  readonly identity: { readonly user?: string; readonly agent?: string; readonly task?: string }
}

/**
 * Restores the passport from the members of an inbound header: from its claim check, else compressed, else plain
 * (F-CP-02, F-CP-05, F-CP-08). A stale one may lie beside the right one; K-TIP decides whether what was read is whole.
 *
 * @throws {KestError} `ERR_KEST_BAGGAGE` for a value that is not of its form; `ERR_KEST_TIP` for a tip without a passport
 *   and a claim check without a tip; `ERR_KEST_CLAIM_UNKNOWN` for a claim check that names nothing (any more);
 *   `ERR_KEST_CACHE` when the cache fails, or there is none; `ERR_KEST_LIMIT` for more than `limits` allow; whatever
 *   {@link parsePassport} throws
 */
export function decodeMembers(
  kest: ReadonlyMap<string, string>,
  options: ResolvedPropagation,
): MaybePromise<DecodedMembers> {
  const tip = parseTip(kest.get(MEMBER.chainTip))
  const identity = identityOf(kest)
  const claim = kest.get(MEMBER.claimCheck)
  if (claim === undefined) return { passport: passportIn(kest, tip, options), tip, identity }
  const settle = (json: string): DecodedMembers => ({
    passport: parsePassport(json, { limits: options.limits }),
    tip,
    identity,
  })
  const found = redeem(claim, tip, options)
  return isPromise(found) ? found.then(settle) : settle(found)
}

/** The passport that is in the header itself, held to what a header can hold (K-LIMIT). */
function passportIn(
  kest: ReadonlyMap<string, string>,
  tip: readonly string[] | null,
  options: ResolvedPropagation,
): Passport | null {
  const limits = headerLimits(options.limits)
  const compressed = kest.get(MEMBER.compressed)
  const json =
    compressed === undefined ? kest.get(MEMBER.passport) : decompress(compressed, limits.passportBytes)
  if (json !== undefined) return parsePassport(json, { limits })
  if (tip === null) return null
  throw new KestError('ERR_KEST_TIP', `baggage: ${MEMBER.chainTip} came without its passport (K-TIP)`)
}

function redeem(
  claim: string,
  tip: readonly string[] | null,
  options: ResolvedPropagation,
): MaybePromise<string> {
  if (!isClaimCheck(claim)) {
    throw new KestError('ERR_KEST_BAGGAGE', `baggage: ${MEMBER.claimCheck} is not a lower-case UUID v4`)
  }
  if (tip === null)
    throw new KestError('ERR_KEST_TIP', `baggage: ${MEMBER.claimCheck} came without ${MEMBER.chainTip}`)
  const { cache } = options
  if (cache === null)
    throw new KestError('ERR_KEST_CACHE', 'baggage: a claim check came, and no cache is configured')
  return resolveClaim(claim, { ...options, cache })
}

/** @throws {KestError} `ERR_KEST_BAGGAGE` for what is neither a list of distinct hashes nor a digest */
export function parseTip(value: string | undefined): readonly string[] | null {
  if (value === undefined) return null
  const stated = value.split(',')
  if (isStatedTips(stated)) return stated
  throw new KestError(
    'ERR_KEST_BAGGAGE',
    `baggage: ${MEMBER.chainTip} is neither a list of distinct entry hashes nor their digest`,
  )
}

/** An empty value is none: OpenTelemetry propagators drop it on the way, too. */
function identityOf(kest: ReadonlyMap<string, string>): DecodedMembers['identity'] {
  const user = kest.get(MEMBER.user)
  const agent = kest.get(MEMBER.agent)
  const task = kest.get(MEMBER.task)
  return { ...(user && { user }), ...(agent && { agent }), ...(task && { task }) }
}
