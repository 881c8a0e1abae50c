import { isUtf8 } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import { countMembers, countParsedMembers } from '../entry/json-members.js'
import { KestError } from '../errors.js'
import type { Signer } from '../identity/provider.js'
import type { JwsHeader } from '../jws/algorithm.js'
import { decodeBase64Url } from '../jws/base64.js'
import { parseHeader } from '../jws/header.js'
import { compactLength, signCompact } from '../jws/sign-compact.js'
import type { Limits } from '../limits.js'
import type { MaybePromise } from '../maybe-promise.js'
import { isStatedTips, isTipsDigest, tipsDigest } from '../passport/stated-tips.js'

/** How long a token may be good for, seconds (K-HOP). */
export const HOP_LIFETIME_S = 30

/** What a sender states about one request (K-HOP). Times are seconds since the epoch. */
export interface HopClaims {
  /** The origin called. */
  readonly aud: string
  readonly iat: number
  /** At most `iat` + 30. */
  readonly exp: number
  /** Used once. */
  readonly jti: string
  /** Hashes of the passport's tips; or, by itself, their digest, which is text on the wire (K-TIPS). */
  readonly tips: readonly string[]
}

/** A token taken apart. Nothing of it is verified. */
export interface ParsedHopToken {
  readonly header: JwsHeader
  readonly claims: HopClaims
  readonly signingInput: Buffer
  readonly signature: Buffer
}

const JTI = /^[A-Za-z0-9._~-]{1,128}$/
/** `tips` is a list in an object. */
const MAX_NESTING = 4

/**
 * Makes the token for one dispatch. Synchronous when the signer is.
 *
 * @param origin of the URL that is called
 * @param now milliseconds since the epoch
 * @param room characters that the token may have; with a list of tips that makes it longer it has their digest (K-TIPS)
 * @throws {KestError} `ERR_KEST_LIMIT`, `ERR_KEST_IDENTITY` when the signer fails
 */
export function createHopToken(
  signer: Signer,
  origin: string,
  tips: readonly string[],
  now: number,
  limits: Limits,
  room: number,
): MaybePromise<string> {
  const iat = Math.floor(now / 1000)
  const claims = { aud: origin, exp: iat + HOP_LIFETIME_S, iat, jti: randomUUID() }
  const listed = JSON.stringify({ ...claims, tips })
  const fits = compactLength('kest-hop', listed, signer) <= room
  const payload = fits ? listed : JSON.stringify({ ...claims, tips: tipsDigest(tips) })
  return signCompact('the hop token', 'kest-hop', payload, signer, limits.entryBytes)
}

/**
 * Reads a token, as strictly as an entry (K-STRICT). Members that it does not know are tolerated, being signed.
 *
 * Does *not* check who signed it, for whom it is, and when.
 *
 * @throws {KestError} `ERR_KEST_BINDING`
 */
export function parseHopToken(token: string, limits: Limits): ParsedHopToken {
  if (token.length > limits.entryBytes) throw malformed(`it has ${token.length} characters`)
  const [header, payload, signature, ...rest] = token.split('.')
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) {
    throw malformed('it has not three segments')
  }
  const bytes = decodeBase64Url(signature)
  if (bytes === undefined) throw malformed('its signature is not base64url in its one spelling')
  return {
    header: headerOf(header, limits),
    claims: claimsOf(payload, limits),
    signingInput: Buffer.from(token.slice(0, header.length + 1 + payload.length), 'latin1'),
    signature: bytes,
  }
}

function headerOf(segment: string, limits: Limits): JwsHeader {
  try {
    return parseHeader(segment, limits, 'kest-hop')
  } catch (cause) {
    throw malformed((cause as Error).message, cause)
  }
}

function claimsOf(segment: string, limits: Limits): HopClaims {
  const bytes = decodeBase64Url(segment)
  if (bytes === undefined || !isUtf8(bytes)) throw malformed('its payload is not base64url of UTF-8')
  const text = bytes.toString('utf8')
  let payload: unknown
  try {
    payload = JSON.parse(text)
  } catch (cause) {
    throw malformed('its payload is not JSON', cause)
  }
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) {
    throw malformed('its payload is not a JSON object')
  }
  // Of repeated members the last would count here, and the first somewhere else.
  if (countParsedMembers(payload, MAX_NESTING) !== countMembers(text)) {
    throw malformed('its payload has a member twice, or nests too deep')
  }
  const { aud, iat, exp, jti, tips } = payload as Readonly<Record<string, unknown>>
  if (typeof aud !== 'string') throw malformed('aud is not text')
  if (!isSeconds(iat) || !isSeconds(exp)) throw malformed('iat and exp are not whole seconds')
  if (typeof jti !== 'string' || !JTI.test(jti)) throw malformed('jti is not an id')
  return { aud, iat, exp, jti, tips: tipsOf(tips, limits) }
}

function isSeconds(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function tipsOf(value: unknown, { entries }: Limits): readonly string[] {
  const stated: readonly unknown[] = Array.isArray(value) ? value : [value]
  const sized = stated.length > 0 && stated.length <= entries
  // A list is of hashes, and text is a digest: each has one spelling.
  if (sized && isStatedTips(stated) && isTipsDigest(stated) !== Array.isArray(value)) return stated
  throw malformed('tips is neither a list of distinct entry hashes nor their digest')
}

function malformed(why: string, cause?: unknown): KestError {
  return new KestError('ERR_KEST_BINDING', `the hop token is malformed: ${why}`, { cause })
}
