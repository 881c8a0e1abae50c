import type { Clock } from '../clock.js'
import { KestError } from '../errors.js'
import type { KeySource } from '../identity/key-source.js'
import type { Limits } from '../limits.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { VerifiedPassport } from '../passport/verified-passport.js'
import type { ResolvedBinding } from './binding-options.js'
import { assertOnceOnly } from './hop-once.js'
import { signerOf } from './hop-signer.js'
import { HOP_LIFETIME_S, type HopClaims, parseHopToken } from './hop-token.js'
import type { Peer } from './peer.js'
import type { ReplayStore } from './replay-store.js'

/** What shows who sends a request. */
export interface SenderEvidence {
  /** `kest.hop`, as it came. */
  readonly hop: string | undefined
  /** The other end of the connection. */
  readonly peer: Peer | undefined
}

/** Whether the passport is the sender's to send; rejects when it is not. */
export type BoundCheck = (passport: VerifiedPassport) => MaybePromise<void>

/**
 * Looks at what shows who sends, before the passport is restored: what can be refused without it, is. The answer does
 * the rest, when the passport is verified.
 */
export type SenderCheck = (evidence: SenderEvidence) => BoundCheck

/** What a check works with. */
export interface SenderCheckDeps {
  readonly trust: readonly KeySource[]
  readonly limits: Limits
  readonly clock: Clock
  readonly replay: ReplayStore
  /** Part of the replay store's keys, as of a claim check's. */
  readonly namespace: string
  readonly cacheTimeoutMs: number
}

/**
 * Makes the check of a binding (K-HOP). Everything that does not hold is `ERR_KEST_BINDING`; what cannot be said is
 * `ERR_KEST_KEYS_UNAVAILABLE` or `ERR_KEST_CACHE`.
 */
export function createSenderCheck(binding: ResolvedBinding, deps: SenderCheckDeps): SenderCheck {
  switch (binding.kind) {
    case 'none':
      return () => () => {}
    case 'mtls':
      return ({ peer }) => {
        if (peer === undefined) throw refused('no authorized peer certificate with one SPIFFE ID')
        return (passport) => {
          const { spiffeId } = peer
          if (binding.relays.includes(spiffeId)) return
          if (passport.tips.some((tip) => tip.proven && tip.principal === spiffeId)) return
          throw refused(`the peer ${spiffeId} is neither the principal of a tip nor a relay`)
        }
      }
    case 'hop':
      return ({ hop }) => checkHop(hop, binding, deps)
  }
}

function checkHop(
  hop: string | undefined,
  binding: Extract<ResolvedBinding, { kind: 'hop' }>,
  deps: SenderCheckDeps,
): BoundCheck {
  if (hop === undefined) throw refused('no hop token came with the passport')
  const token = parseHopToken(hop, deps.limits)
  const now = deps.clock.now()
  assertForUs(token.claims, binding.audiences)
  assertNow(token.claims, now, binding.clockSkewMs)
  return async (passport) => {
    assertSameTips(token.claims, passport)
    const candidates = [
      ...passport.tips.filter((tip) => tip.proven).map((tip) => tip.principal),
      ...binding.relays,
    ]
    const signer = await signerOf(token, new Set(candidates), deps.trust, now)
    const once = assertOnceOnly(token.claims, signer, deps)
    if (isPromise(once)) await once
  }
}

function assertForUs({ aud }: HopClaims, audiences: ReadonlySet<string>): void {
  if (audiences.has(aud)) return
  throw refused(`the hop token is for ${JSON.stringify(aud.slice(0, 256))}, which is not this service`)
}

function assertNow({ iat, exp }: HopClaims, now: number, skew: number): void {
  if (exp < iat || exp > iat + HOP_LIFETIME_S) {
    throw refused(`the hop token is for ${exp - iat} s; at most ${HOP_LIFETIME_S} are accepted`)
  }
  if (now < iat * 1000 - skew) throw refused(`the hop token is ${iat * 1000 - now} ms ahead`)
  if (now >= exp * 1000 + skew) throw refused(`the hop token expired ${now - exp * 1000} ms ago`)
}

function assertSameTips({ tips }: HopClaims, passport: VerifiedPassport): void {
  const stated = new Set(tips)
  if (stated.size === passport.tips.length && passport.tips.every((tip) => stated.has(tip.hash))) return
  throw refused('the hop token is for a passport with other tips')
}

function refused(why: string): KestError {
  return new KestError('ERR_KEST_BINDING', `${why} (K-HOP)`)
}
