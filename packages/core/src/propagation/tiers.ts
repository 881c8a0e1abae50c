import { KestConfigError } from '../errors.js'
import { headerLimits } from '../limits.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { Lineage } from '../passport/lineage.js'
import { tipsDigest } from '../passport/stated-tips.js'
import type { IdentityContext } from '../passport/verified.js'
import { createPrivateSlot } from '../private-slot.js'
import { type EncodedMember, encodeValue } from './baggage.js'
import { MEMBER } from './baggage-names.js'
import { type ClaimStore, storeClaim } from './claim-check.js'
import { compress } from './compression.js'
import type { ResolvedPropagation } from './options.js'

/** What goes with a passport, or has to fit beside it. */
export interface TierInput {
  /** Characters of the members of others in the same header; 0 when there are none. */
  readonly foreignLength: number
  readonly identity: IdentityContext | null
  /** The sender's token, `kest.hop` or `kest.message`: a JWS, which percent-encoding does not change. */
  readonly token?: EncodedMember | undefined
  /** What names the dispatch, where a receipt of it is asked for (K-RECEIPT). */
  readonly receipt?: EncodedMember | undefined
}

/** A claim check is a bearer of the same lineage for everyone it is sent to; a burst of requests shares one. */
const CLAIM_REUSE_MS = 60_000

/** What neither JSON nor percent-encoding changes. */
const UNRESERVED = /^[A-Za-z0-9._~-]*$/

const CLAIM_MEMBER_LENGTH = MEMBER.claimCheck.length + 1 + 36

/** How a passport travels: in the header as JSON or compressed, or by claim check. */
export type Tier = 'plain' | 'compressed' | 'claim_check'

/** What goes into a header for one lineage. */
export interface EncodedLineage {
  readonly members: readonly EncodedMember[]
  /** `null`: there is no lineage. */
  readonly tier: Tier | null
  /** Of a passport in the header: the share of the tightest bound that it takes, 0…1, by its most compact form. */
  readonly share: number
}

const NOTHING: EncodedLineage = Object.freeze({ members: [], tier: null, share: 0 })

/** The forms of one lineage that were needed so far, so that fan-out pays once. */
interface Encoded {
  /** The list of tips, and what stands for it where it does not fit (K-TIPS). */
  readonly tips: readonly string[]
  /** Length of the passport's JSON. */
  readonly wireLength: number
  /** Length of the longest entry. */
  readonly longest: number
  /** Length of the tier 1 value: exact for JWS, and never more than the truth. See {@link encodeStrings}. */
  readonly plainLength: number
  /** Length that compression cannot go below: signatures do not compress. */
  readonly incompressible: number
  plain?: string
  compressed?: string
  /** Its id is no promise any more once it is stored: what cannot wait may be sent from then on. */
  claim?: { readonly store: ClaimStore; readonly until: number; id: MaybePromise<string> }
}

const encodings = createPrivateSlot<Lineage, Encoded>()

/**
 * The `kest.*` members for an outgoing request: the passport in the first tier that fits, its tips, its sender's token, and who acts
 * (F-CP-01, F-CP-04, F-CP-07). An empty lineage has none.
 *
 * A member fits when its encoded `key=value` is at most `maxMemberLength`, and the header with everything in it at most
 * `maxHeaderLength` (K-SIZE). Answers at once for tiers 1 and 2; for the claim check when the passport is stored.
 *
 * @throws {KestConfigError} `ERR_KEST_TOO_LARGE` when nothing fits; the request must not be sent then
 * @throws {KestError} `ERR_KEST_CACHE` when the claim check cannot be stored
 */
export function encodeMembers(
  lineage: Lineage,
  input: TierInput,
  options: ResolvedPropagation,
): MaybePromise<EncodedLineage> {
  if (lineage.length === 0) return NOTHING
  const encoded = encodingOf(lineage)
  const { token, receipt, identity } = input
  const others = [token, receipt].filter((member) => member !== undefined).concat(identityMembers(identity))
  for (const tips of encoded.tips) {
    const chainTip: EncodedMember = [MEMBER.chainTip, tips]
    if (tips !== encoded.tips.at(-1) && memberLength(chainTip) > options.maxMemberLength) continue
    const written = encodeBeside([chainTip, ...others], lineage, input.foreignLength, options)
    if (written !== null) return written
  }
  throw tooLarge(lineage, input.foreignLength, options)
}

/**
 * Begins to store a passport that fits no header, whatever else goes into it: what is still to be signed then need not wait for
 * the cache. {@link encodeMembers} says how it went.
 */
export function storeAhead(lineage: Lineage, foreignLength: number, options: ResolvedPropagation): void {
  const { cache } = options
  if (cache === null || lineage.length === 0) return
  const encoded = encodingOf(lineage)
  const shortest: EncodedMember = [MEMBER.chainTip, encoded.tips.at(-1) as string]
  const { room } = roomFor([shortest], foreignLength, options)
  if (inlineMember(lineage, encoded, room, options) === null) void claimOf(lineage, encoded, options, cache)
}

/** `null`: the passport does not fit beside the companions in any tier. */
function encodeBeside(
  companions: readonly EncodedMember[],
  lineage: Lineage,
  foreignLength: number,
  options: ResolvedPropagation,
): MaybePromise<EncodedLineage> | null {
  const encoded = encodingOf(lineage)
  const { room, taken } = roomFor(companions, foreignLength, options)
  const inline = inlineMember(lineage, encoded, room, options)
  if (inline !== null) {
    const tier = inline[0] === MEMBER.passport ? 'plain' : 'compressed'
    return {
      members: [inline, ...companions],
      tier,
      share: shareOf(lineage, encoded, inline, taken, options),
    }
  }
  if (options.cache === null || CLAIM_MEMBER_LENGTH > room) return null
  const id = claimOf(lineage, encoded, options, options.cache)
  const written = (value: string): EncodedLineage => ({
    members: [[MEMBER.claimCheck, value], ...companions],
    tier: 'claim_check',
    share: 0,
  })
  return isPromise(id) ? id.then(written) : written(id)
}

/** Of JSON that would be compressed before it found no room, only what compression does not change counts. */
function shareOf(
  lineage: Lineage,
  { wireLength, longest }: Encoded,
  member: EncodedMember,
  taken: number,
  { limits, maxMemberLength, maxHeaderLength }: ResolvedPropagation,
): number {
  const { entries, entryBytes, passportBytes } = headerLimits(limits)
  const length = member[0] === MEMBER.compressed ? memberLength(member) : 0
  return Math.max(
    length / maxMemberLength,
    length === 0 ? 0 : (taken + length) / maxHeaderLength,
    lineage.length / entries,
    longest / entryBytes,
    wireLength / passportBytes,
  )
}

/** Whether a receiver with the same limits reads the lineage out of a header (K-LIMIT). */
function isReadInHeader(
  lineage: Lineage,
  { wireLength, longest }: Encoded,
  { limits }: ResolvedPropagation,
): boolean {
  const { entries, entryBytes, passportBytes } = headerLimits(limits)
  return lineage.length <= entries && longest <= entryBytes && wireLength <= passportBytes
}

/** Tier 1 or 2, of what is read out of a header. */
function inlineMember(
  lineage: Lineage,
  encoded: Encoded,
  room: number,
  options: ResolvedPropagation,
): EncodedMember | null {
  if (!isReadInHeader(lineage, encoded, options)) return null
  const plain = options.encoding === 'auto' ? plainMember(lineage, encoded, room) : null
  return plain ?? compressedMember(lineage, encoded, room)
}

/** Tier 1. */
function plainMember(lineage: Lineage, encoded: Encoded, room: number): EncodedMember | null {
  if (MEMBER.passport.length + 1 + encoded.plainLength > room) return null
  encoded.plain ??= encodeStrings(lineage.strings())
  return fitting([MEMBER.passport, encoded.plain], room)
}

/** Tier 2. */
function compressedMember(lineage: Lineage, encoded: Encoded, room: number): EncodedMember | null {
  if (MEMBER.compressed.length + 1 + encoded.incompressible > room) return null
  encoded.compressed ??= compress(wireForm(lineage))
  return fitting([MEMBER.compressed, encoded.compressed], room)
}

/** Tier 3: the id under which the passport was stored, or is being stored by another request. */
function claimOf(
  lineage: Lineage,
  encoded: Encoded,
  options: ResolvedPropagation,
  cache: ClaimStore['cache'],
): MaybePromise<string> {
  const { clock, namespace, claimTtlMs, cacheTimeoutMs, limits } = options
  const last = encoded.claim
  const shared =
    last?.store.cache === cache &&
    last.store.namespace === namespace &&
    // One of a request is gone when a message is read.
    last.store.claimTtlMs >= claimTtlMs &&
    clock.now() < last.until
  if (last !== undefined && shared) return last.id
  const passport = wireForm(lineage)
  if (Buffer.byteLength(passport) > limits.passportBytes) {
    throw new KestConfigError(
      `the passport of ${lineage.length} entries is larger than limits.passportBytes (${limits.passportBytes})`,
      { code: 'ERR_KEST_TOO_LARGE' },
    )
  }
  const store: ClaimStore = { cache, namespace, claimTtlMs, cacheTimeoutMs, limits }
  const id = storeClaim(passport, store)
  const claim: NonNullable<Encoded['claim']> = {
    store,
    until: clock.now() + Math.min(claimTtlMs / 2, CLAIM_REUSE_MS),
    id,
  }
  encoded.claim = claim
  if (isPromise(id)) {
    id.then(
      (stored) => {
        claim.id = stored
      },
      () => {
        if (encoded.claim === claim) delete encoded.claim
      },
    )
  }
  return id
}

function encodingOf(lineage: Lineage): Encoded {
  const known = encodings.get(lineage)
  if (known !== undefined) return known
  const lengths = lineage.map(({ jws }) => jws.length)
  const signatures = lineage.map(({ jws }) => (jws.includes('.') ? jws.length - jws.lastIndexOf('.') - 1 : 0))
  const encoded: Encoded = {
    tips: tipForms(lineage),
    wireLength: sum(lengths) + 3 * lengths.length + 1,
    longest: Math.max(...lengths),
    plainLength: sum(lengths) + 9 * (lengths.length - 1) + 12,
    // base64url twice, and compressed to the bytes in between, a signature is as long as before.
    incompressible: sum(signatures),
  }
  encodings.set(lineage, encoded)
  return encoded
}

function tipForms({ tips }: Lineage): readonly string[] {
  const hashes = tips.map(({ hash }) => hash)
  const list = hashes.join('%2C')
  return hashes.length > 1 ? [list, tipsDigest(hashes)] : [list]
}

/** `encodeURIComponent(JSON.stringify(strings))`, which a JWS passes through unchanged. */
function encodeStrings(strings: readonly string[]): string {
  if (!strings.every((text) => UNRESERVED.test(text))) return encodeValue(JSON.stringify(strings))
  return `%5B%22${strings.join('%22%2C%22')}%22%5D`
}

/** JSON. Verified entries have nothing that JSON would escape (K-STRICT); what could end a string is looked for all the same. */
function wireForm(lineage: Lineage): string {
  const strings = lineage.strings()
  if (strings.some((text) => text.includes('"') || text.includes('\\'))) return JSON.stringify(strings)
  return `["${strings.join('","')}"]`
}

/** K-RELAYED: relays re-encode other characters each in its own way, and what the entries say is what counts. */
function identityMembers(identity: IdentityContext | null): EncodedMember[] {
  if (identity === null) return []
  const parts = [
    [MEMBER.user, identity.user],
    [MEMBER.agent, identity.agent],
    [MEMBER.task, identity.task],
  ] as const
  return parts.flatMap(([key, value]) =>
    value === null || value === '' || !UNRESERVED.test(value) ? [] : [[key, value] as const],
  )
}

/** Characters that are left for the passport's own member, and those that are not. */
function roomFor(
  companions: readonly EncodedMember[],
  foreignLength: number,
  options: ResolvedPropagation,
): { readonly room: number; readonly taken: number } {
  let taken = foreignLength > 0 ? foreignLength + 1 : 0
  for (const member of companions) {
    if (memberLength(member) > options.maxMemberLength) {
      throw new KestConfigError(
        `baggage: member ${member[0]} has ${memberLength(member)} characters, maxMemberLength is ${options.maxMemberLength}`,
        { code: 'ERR_KEST_TOO_LARGE' },
      )
    }
    taken += memberLength(member) + 1
  }
  return { room: Math.min(options.maxMemberLength, options.maxHeaderLength - taken), taken }
}

function tooLarge(lineage: Lineage, foreignLength: number, options: ResolvedPropagation): KestConfigError {
  const { entries, passportBytes } = headerLimits(options.limits)
  const remedy =
    options.cache === null ? 'configure a cache for claim checks, or raise the bounds' : 'raise the bounds'
  return new KestConfigError(
    `the passport of ${lineage.length} entries fits no tier beside ${foreignLength} characters of other baggage ` +
      `(maxMemberLength ${options.maxMemberLength}, maxHeaderLength ${options.maxHeaderLength}, ` +
      `limits.headerEntries ${entries}, limits.headerPassportBytes ${passportBytes}): ${remedy}`,
    { code: 'ERR_KEST_TOO_LARGE' },
  )
}

function fitting(member: EncodedMember, room: number): EncodedMember | null {
  return memberLength(member) <= room ? member : null
}

function memberLength([key, value]: EncodedMember): number {
  return key.length + 1 + value.length
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
