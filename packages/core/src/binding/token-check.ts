import { entryHash } from '../entry/hash.js'
import { claimedParents, claimedPrincipal } from '../entry/peek.js'
import { KestError } from '../errors.js'
import type { KeySource } from '../identity/key-source.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { Passport } from '../passport/passport.js'
import { areStatedTips, isTipsDigest } from '../passport/stated-tips.js'
import type { VerifiedPassport } from '../passport/verified-passport.js'
import type { BoundCheck } from './sender-check.js'
import type { ParsedSenderToken, SenderClaims, TokenKind } from './sender-token.js'
import { signerOf } from './token-signer.js'

/** Who may have signed a token, and what is asked when it is known who has. */
export interface TokenSigners {
  readonly relays: readonly string[]
  readonly trust: readonly KeySource[]
  /** When certificates must be valid, milliseconds since the epoch. */
  readonly time: number
  /** Whether the token may be used (again). Asked last, so that what is remembered was signed by somebody who may send here. */
  mayBeUsed(signer: string, passport: VerifiedPassport): MaybePromise<void>
}

/** That a passport is the one that a token is for, and that its signer may send it: one of its tips' principals, or a relay. */
export function checkToken(
  kind: TokenKind,
  token: ParsedSenderToken,
  { relays, trust, time, mayBeUsed }: TokenSigners,
): BoundCheck {
  const signerAmong = (tips: readonly string[]): Promise<string> =>
    signerOf(kind, token, new Set([...tips, ...relays]), trust, time)
  let signer: string | undefined
  return {
    canBeSent: async (passport) => {
      const claimed = statedTips(kind, token.claims, passport)?.map(claimedPrincipal)
      if (claimed?.every((principal) => principal !== undefined)) signer = await signerAmong(claimed)
    },
    isSent: async (passport) => {
      assertSameTips(kind, token.claims, passport)
      const tips = provenTips(passport)
      // Whose tip it only claimed to be may have turned out otherwise.
      if (signer === undefined || ![...tips, ...relays].includes(signer)) signer = await signerAmong(tips)
      const used = mayBeUsed(signer, passport)
      if (isPromise(used)) await used
    },
  }
}

export function provenTips({ tips }: VerifiedPassport): readonly string[] {
  return tips.filter((tip) => tip.proven).map((tip) => tip.principal)
}

export function refused(why: string, { rule }: Pick<TokenKind, 'rule'>): KestError {
  return new KestError('ERR_KEST_BINDING', `${why} (${rule})`)
}

/**
 * The entries that a token says are the tips; what else they are, nobody has looked at.
 * @returns `undefined` where only those who read the entries can say
 */
function statedTips(
  kind: TokenKind,
  { tips }: SenderClaims,
  { entries }: Passport,
): readonly string[] | undefined {
  if (isTipsDigest(tips)) return digestedTips(kind, tips, entries)
  const stated = new Set(tips)
  const found = entries.filter((jws) => stated.delete(entryHash(jws)))
  if (stated.size > 0) throw otherTips(kind)
  return found
}

/** K-TIPS: those that no entry claims as a parent. */
function digestedTips(
  kind: TokenKind,
  tips: readonly string[],
  entries: readonly string[],
): readonly string[] | undefined {
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
    throw otherTips(kind)
  return found.map(({ jws }) => jws)
}

function assertSameTips(kind: TokenKind, { tips }: SenderClaims, passport: VerifiedPassport): void {
  if (
    !areStatedTips(
      passport.tips.map(({ hash }) => hash),
      tips,
    )
  )
    throw otherTips(kind)
}

function otherTips(kind: TokenKind): KestError {
  return refused(`the ${kind.name} is for a passport with other tips`, kind)
}
