import { isUtf8 } from 'node:buffer'
import { countMembers, countParsedMembers } from '../entry/json-members.js'
import { KestError } from '../errors.js'
import type { Signer } from '../identity/provider.js'
import type { JwsHeader } from '../jws/algorithm.js'
import { decodeBase64Url } from '../jws/base64.js'
import { type JwsType, parseHeader } from '../jws/header.js'
import { compactLength, signCompact } from '../jws/sign-compact.js'
import type { Limits } from '../limits.js'
import type { MaybePromise } from '../maybe-promise.js'
import { isStatedTips, isTipsDigest, tipsDigest } from '../passport/stated-tips.js'

/** What a sender states of what it sends (K-HOP, K-MESSAGE). Times are seconds since the epoch. */
export interface SenderClaims {
  /** Who it is for. */
  readonly aud: string
  readonly iat: number
  readonly exp: number
  /** Names the token. */
  readonly jti: string
  /** Hashes of the passport's tips; or, by itself, their digest, which is text on the wire (K-TIPS). */
  readonly tips: readonly string[]
}

/** A token taken apart. Nothing of it is verified. */
export interface ParsedSenderToken<Claims extends SenderClaims = SenderClaims> {
  readonly header: JwsHeader
  readonly claims: Claims
  readonly signingInput: Buffer
  readonly signature: Buffer
}

/** A kind of token: its `typ`, what errors call it, and which rule it is of. */
export interface TokenKind {
  readonly typ: Exclude<JwsType, 'JWS' | 'kest-denial'>
  readonly name: string
  readonly rule: string
}

const JTI = /^[A-Za-z0-9._~-]{1,128}$/
/** `tips` is a list in an object. */
const MAX_NESTING = 4

/**
 * Signs a token. Synchronous when the signer is.
 *
 * @param claims all but the tips
 * @param room characters that the token may have; with a list of tips that makes it longer it has their digest (K-TIPS)
 * @throws {KestError} `ERR_KEST_LIMIT`, `ERR_KEST_IDENTITY` when the signer fails
 */
export function signSenderToken(
  { typ, name }: TokenKind,
  claims: Omit<SenderClaims, 'tips'>,
  tips: readonly string[],
  signer: Signer,
  limits: Limits,
  room: number,
): MaybePromise<string> {
  const listed = JSON.stringify({ ...claims, tips })
  const fits = compactLength(typ, listed, signer) <= room
  const payload = fits ? listed : JSON.stringify({ ...claims, tips: tipsDigest(tips) })
  return signCompact(`the ${name}`, typ, payload, signer, limits.entryBytes)
}

/**
 * Reads a token, as strictly as an entry (K-STRICT). Members that it does not know are tolerated, being signed.
 *
 * Does *not* check who signed it, for whom it is, and when.
 *
 * @param readMore the claims that only this kind has; throws what is wrong with them
 * @throws {KestError} `ERR_KEST_BINDING`
 */
export function parseSenderToken<Claims extends SenderClaims>(
  kind: TokenKind,
  token: string,
  limits: Limits,
  readMore: (payload: Readonly<Record<string, unknown>>) => Omit<Claims, keyof SenderClaims>,
): ParsedSenderToken<Claims> {
  const malformed = (why: string, cause?: unknown): KestError =>
    new KestError('ERR_KEST_BINDING', `the ${kind.name} is malformed: ${why}`, { cause })
  if (token.length > limits.entryBytes) throw malformed(`it has ${token.length} characters`)
  const [header, payload, signature, ...rest] = token.split('.')
  if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) {
    throw malformed('it has not three segments')
  }
  const bytes = decodeBase64Url(signature)
  if (bytes === undefined) throw malformed('its signature is not base64url in its one spelling')
  try {
    const read = parseHeader(header, limits, kind.typ)
    const members = readPayload(payload)
    return {
      header: read,
      claims: { ...claimsOf(members, limits), ...readMore(members) } as Claims,
      signingInput: Buffer.from(token.slice(0, header.length + 1 + payload.length), 'latin1'),
      signature: bytes,
    }
  } catch (cause) {
    throw malformed((cause as Error).message, cause instanceof Unreadable ? cause.cause : cause)
  }
}

/** What is wrong with a token's claims, in words. */
export class Unreadable extends Error {}

function readPayload(segment: string): Readonly<Record<string, unknown>> {
  const bytes = decodeBase64Url(segment)
  if (bytes === undefined || !isUtf8(bytes)) throw new Unreadable('its payload is not base64url of UTF-8')
  const text = bytes.toString('utf8')
  let payload: unknown
  try {
    payload = JSON.parse(text)
  } catch (cause) {
    throw new Unreadable('its payload is not JSON', { cause })
  }
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) {
    throw new Unreadable('its payload is not a JSON object')
  }
  // Of repeated members the last would count here, and the first somewhere else.
  if (countParsedMembers(payload, MAX_NESTING) !== countMembers(text)) {
    throw new Unreadable('its payload has a member twice, or nests too deep')
  }
  return payload as Readonly<Record<string, unknown>>
}

function claimsOf(payload: Readonly<Record<string, unknown>>, limits: Limits): SenderClaims {
  const { aud, iat, exp, jti, tips } = payload
  if (typeof aud !== 'string') throw new Unreadable('aud is not text')
  if (!isSeconds(iat) || !isSeconds(exp)) throw new Unreadable('iat and exp are not whole seconds')
  if (typeof jti !== 'string' || !JTI.test(jti)) throw new Unreadable('jti is not an id')
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
  throw new Unreadable('tips is neither a list of distinct entry hashes nor their digest')
}
