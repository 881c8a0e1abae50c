import type { Clock } from '../clock.js'
import { entryHash } from '../entry/hash.js'
import { claimedParents, claimedPrincipal } from '../entry/peek.js'
import { KestError } from '../errors.js'
import type { KeySource } from '../identity/key-source.js'
import type { Limits } from '../limits.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { Passport } from '../passport/passport.js'
import { areStatedTips, isTipsDigest } from '../passport/stated-tips.js'
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

/** What is left to ask when the sender's evidence has been looked at. Each rejects when it does not hold. */
export interface BoundCheck {
  /**
   * Whether the passport can be the sender's to send, if all that it claims is true: whoever has nothing to send here is
   * refused before it is verified. A cheap question, and an answer that is not the last.
   */
  canBeSent(claimed: Passport): MaybePromise<void>
  /** Whether the passport is the sender's to send. */
  isSent(verified: VerifiedPassport): MaybePromise<void>
}

/**
 * Looks at what shows who sends, before the passport is restored: what can be refused without it, is. The answer does
 * the rest.
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
      return () => ANYONE
    case 'mtls':
      return ({ peer }) => checkPeer(peer, binding.relays)
    case 'hop':
      return ({ hop }) => checkHop(hop, binding, deps)
  }
}

const ANYONE: BoundCheck = Object.freeze({ canBeSent: () => {}, isSent: () => {} })

function checkPeer(peer: Peer | undefined, relays: readonly string[]): BoundCheck {
  if (peer === undefined) throw refused('no authorized peer certificate with one SPIFFE ID')
  const { spiffeId } = peer
  const assertAmong = (principals: readonly (string | undefined)[]): void => {
    if (relays.includes(spiffeId) || principals.includes(spiffeId)) return
    throw refused(`the peer ${spiffeId} is neither the principal of a tip nor a relay`)
  }
  return {
    canBeSent: ({ entries }) => {
      const claimed = entries.map(claimedPrincipal)
      if (!claimed.includes(undefined)) assertAmong(claimed)
    },
    isSent: (passport) => assertAmong(provenTips(passport)),
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
  const signerAmong = (tips: readonly string[]): Promise<string> =>
    signerOf(token, new Set([...tips, ...binding.relays]), deps.trust, now)
  let signer: string | undefined
  return {
    canBeSent: async (passport) => {
      const claimed = statedTips(token.claims, passport)?.map(claimedPrincipal)
      if (claimed?.every((principal) => principal !== undefined)) signer = await signerAmong(claimed)
    },
    isSent: async (passport) => {
      assertSameTips(token.claims, passport)
      const tips = provenTips(passport)
      // Whose tip it only claimed to be may have turned out otherwise.
      if (signer === undefined || ![...tips, ...binding.relays].includes(signer))
        signer = await signerAmong(tips)
      const once = assertOnceOnly(token.claims, signer, deps)
      if (isPromise(once)) await once
    },
  }
}

function provenTips({ tips }: VerifiedPassport): readonly string[] {
  return tips.filter((tip) => tip.proven).map((tip) => tip.principal)
}

/**
 * The entries that a token says are the tips; what else they are, nobody has looked at.
 * @returns `undefined` where only those who read the entries can say
 */
function statedTips({ tips }: HopClaims, { entries }: Passport): readonly string[] | undefined {
  if (isTipsDigest(tips)) return digestedTips(tips, entries)
  const stated = new Set(tips)
  const found = entries.filter((jws) => stated.delete(entryHash(jws)))
  if (stated.size > 0) throw otherTips()
  return found
}

/** K-TIPS: those that no entry claims as a parent. */
function digestedTips(tips: readonly string[], entries: readonly string[]): readonly string[] | undefined {
  const named = new Set<string>()
  for (const jws of entries) {
    const parents = claimedParents(jws)
    if (parents === undefined) return undefined
    for (const parent of parents) named.add(parent)
  }
  const found = entries.map((jws) => ({ jws, hash: entryHash(jws) })).filter(({ hash }) => !named.has(hash))
  if (
    !areStatedTips(
      found.map(({ hash }) => hash),
      tips,
    )
  )
    throw otherTips()
  return found.map(({ jws }) => jws)
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
  if (
    !areStatedTips(
      passport.tips.map(({ hash }) => hash),
      tips,
    )
  )
    throw otherTips()
}

function otherTips(): KestError {
  return refused('the hop token is for a passport with other tips')
}

function refused(why: string): KestError {
  return new KestError('ERR_KEST_BINDING', `${why} (K-HOP)`)
}
