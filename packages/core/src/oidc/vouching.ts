import type { JWTPayload } from 'jose'
import { KestError } from '../errors.js'
import { shown } from '../shown.js'
import { oneLine } from '../telemetry/one-line.js'
import { boundKey } from '../tokens/dpop.js'

/** Before the thumbprint, in the audience of a token that vouches for a key (K-OIDCID). */
export const KEY_AUDIENCE = 'urn:kest:key:'

/** Longest token that is looked at, bytes. */
export const MAX_TOKEN_BYTES = 8192

/** As long as a line of a log. */
const MAX_WHY = 300

/** What a token says about a key: whose it is, and from when until when (milliseconds; the end is not in it). */
export interface Vouching {
  readonly iss: string
  readonly sub: string
  readonly from: number
  readonly until: number
}

/** Why a token or a key was not used, for a log. */
export function whyNot(error: unknown): string {
  return oneLine(String((error as Error | null)?.message), MAX_WHY)
}

/** The principal of a subject of an issuer (K-PRINCIPAL). No issuer has a `#`, so it is one subject's alone. */
export function principalOf({ iss, sub }: Pick<Vouching, 'iss' | 'sub'>): string {
  return `${iss}#${sub}`
}

/**
 * Reads claims as a statement about one key: the issuer must have signed that key into the token, as `cnf.jkt` or as the sole
 * audience `urn:kest:key:<thumbprint>` (K-OIDCID). Any other token would be good for whoever reads it where it is published.
 *
 * Nothing is verified here. The statement holds from `nbf`, or else `iat`, until `exp`.
 *
 * @param kid the key's thumbprint (RFC 7638)
 * @throws {KestError} `ERR_KEST_TOKEN`, saying what is missing
 */
export function vouchingOf(claims: JWTPayload, kid: string): Vouching {
  const { iss, sub, nbf, iat, exp } = claims
  if (typeof iss !== 'string' || !/^[^\s#]+$/.test(iss)) throw refused('it has no "iss" that is a URL')
  if (typeof sub !== 'string' || !/^\S+$/.test(sub))
    throw refused('it has no "sub", or one with white space in it')
  assertNames(claims, kid)
  const from = milliseconds(nbf ?? iat, 'neither "nbf" nor "iat" says from when it holds')
  const until = milliseconds(exp, 'no "exp" says until when it holds')
  if (from >= until) throw refused('it ends before it begins')
  return { iss, sub, from, until }
}

function assertNames(claims: JWTPayload, kid: string): void {
  const jkt = boundKey(claims)
  const audiences: readonly unknown[] = Array.isArray(claims.aud) ? claims.aud : [claims.aud]
  const named = audiences.filter(isKeyAudience).map((audience) => audience.slice(KEY_AUDIENCE.length))
  const [first = jkt] = named
  if (first === null) throw refused('no key is signed into it')
  if (jkt === null && audiences.length > 1)
    throw refused('the key is one of several audiences: the others would take it from whoever reads it')
  if (first !== kid || named.length > 1 || (jkt !== null && jkt !== kid))
    throw refused(`it is for the key ${shown(first, 60)}, and this one is ${shown(kid, 60)}`)
}

function isKeyAudience(audience: unknown): audience is string {
  return typeof audience === 'string' && audience.startsWith(KEY_AUDIENCE)
}

function milliseconds(seconds: unknown, missing: string): number {
  if (typeof seconds !== 'number' || !Number.isSafeInteger(Math.trunc(seconds * 1000))) throw refused(missing)
  return seconds * 1000
}

function refused(why: string): KestError {
  return new KestError('ERR_KEST_TOKEN', `the token vouches for no key here: ${why}`)
}
