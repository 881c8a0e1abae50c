import { hash } from 'node:crypto'
import { calculateJwkThumbprint, decodeProtectedHeader, EmbeddedJWK, type JWTPayload, jwtVerify } from 'jose'
import { isFirstUse, type UseMemory } from '../binding/use-once.js'
import type { Clock } from '../clock.js'
import { KestConfigError, KestError } from '../errors.js'
import { oneLine } from '../telemetry/one-line.js'
import type { ResolvedDpop } from './dpop-options.js'

/** A proof has a key, five claims and a signature: RSA of 4096 bits fits. */
const MAX_PROOF_LENGTH = 4096
const MAX_JTI_LENGTH = 256
const MAX_WHY = 200
/** Clients take them out. Whoever leaves one in leaves the path that this service has behind a proxy. */
const DOT_SEGMENT = /^[^?#]*[/\\](?:\.|%2e){1,2}(?:[/\\?#]|$)/i
/** Times of proofs are in seconds. */
const SECOND_MS = 1000

/** What a proof is for. */
export interface ProvenRequest {
  readonly method?: string | undefined
  /** As in the request line, before anything rewrote it. */
  readonly url?: string | undefined
  /** The header `DPoP`. */
  readonly proof: string | readonly string[] | undefined
}

/** What a proof is checked with. */
export interface DpopDeps extends UseMemory {
  readonly clock: Clock
  readonly algorithms: string[]
  readonly toleranceMs: number
}

/**
 * Whether the sender of a token has the key that the token is bound to (RFC 9449 §4.3): one proof, of type `dpop+jwt`, by an
 * asymmetric key that is the token's `cnf.jkt`, for this method, this URL and this token, made just now and not used before.
 *
 * Nonces are not asked for (§8): the time of a proof is bounded, and its `jti` is remembered for as long as it could be used.
 *
 * @throws {KestError} `ERR_KEST_TOKEN` for a proof that does not hold; `ERR_KEST_CACHE` when the store cannot say whether it
 *   was used; `ERR_KEST_CONFIG` when the adapter does not say what the request is
 */
export async function assertProof(
  token: string,
  claims: JWTPayload,
  request: ProvenRequest,
  options: ResolvedDpop,
  deps: DpopDeps,
): Promise<void> {
  const { method, url, proof } = request
  if (method === undefined || url === undefined)
    throw new KestConfigError('token.dpop: whoever calls receive() must say method and url of the request')
  const jkt = boundKey(claims)
  if (jkt === null) throw refused('the token is bound to no key')
  if (typeof proof !== 'string') throw refused('expected one DPoP header')
  if (proof.length > MAX_PROOF_LENGTH) throw refused(`at most ${MAX_PROOF_LENGTH} characters are read`)
  const payload = await signedBy(jkt, proof, deps)
  assertAbout(payload, { method, url, token }, options)
  assertTimely(payload, options, deps)
  const { jti } = payload
  if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI_LENGTH) throw refused('its jti is none')
  const name = hash('sha256', JSON.stringify([jkt, jti]), 'base64url')
  // From the slowest of clocks to the fastest, and over the last of the time, however finely it is told.
  const ttlMs = options.maxAgeMs + 2 * deps.toleranceMs + 2 * SECOND_MS
  if (!(await isFirstUse(`dpop:${name}`, ttlMs, deps))) throw refused('it was used before')
}

/**
 * The key that a token is bound to, or `null`.
 * @throws {KestError} `ERR_KEST_TOKEN` for a binding that is malformed
 */
export function boundKey({ cnf }: JWTPayload): string | null {
  if (cnf === undefined) return null
  if (typeof cnf !== 'object' || cnf === null)
    throw new KestError('ERR_KEST_TOKEN', 'claim "cnf" is no object')
  const { jkt } = cnf as { readonly jkt?: unknown }
  if (jkt === undefined) return null
  if (typeof jkt !== 'string') throw new KestError('ERR_KEST_TOKEN', 'claim "cnf" names no key')
  return jkt
}

/** The signature comes last: whoever brings any key at all must first bring the one of a token that holds. */
async function signedBy(jkt: string, proof: string, { clock, algorithms }: DpopDeps): Promise<JWTPayload> {
  try {
    const { jwk } = decodeProtectedHeader(proof)
    if (jwk === undefined || (await calculateJwkThumbprint(jwk)) !== jkt)
      throw new Error('its key is not the one of the token')
    const { payload } = await jwtVerify(proof, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms,
      currentDate: new Date(clock.now()),
    })
    return payload
  } catch (cause) {
    throw refused(oneLine((cause as Error).message, MAX_WHY), cause)
  }
}

function assertAbout(
  { htm, htu, ath }: JWTPayload,
  { method, url, token }: { readonly method: string; readonly url: string; readonly token: string },
  { origins }: ResolvedDpop,
): void {
  if (htm !== method) throw refused('it is for another method')
  const called = typeof htu === 'string' ? withoutQuery(htu) : null
  if (DOT_SEGMENT.test(pathOf(url))) throw refused('the request is for a URL with dot segments')
  if (called === null || !origins.some((origin) => withoutQuery(origin + pathOf(url)) === called))
    throw refused('it is for another URL')
  if (ath !== hash('sha256', token, 'base64url')) throw refused('it is for another token')
}

function assertTimely(
  { iat }: JWTPayload,
  { maxAgeMs }: ResolvedDpop,
  { clock, toleranceMs }: DpopDeps,
): void {
  if (typeof iat !== 'number') throw refused('it does not say when it was made')
  const age = clock.now() - iat * 1000
  if (age > maxAgeMs + toleranceMs || -age > toleranceMs + SECOND_MS)
    throw refused('it was not made just now')
}

/** Of a request line in absolute form, too (RFC 9112 §3.2.2). */
function pathOf(url: string): string {
  if (url.startsWith('/')) return url
  return URL.canParse(url) ? new URL(url).pathname : `/${url}`
}

function withoutQuery(value: string): string | null {
  if (!URL.canParse(value)) return null
  const { origin, pathname } = new URL(value)
  return origin + pathname
}

function refused(why: string, cause?: unknown): KestError {
  const options = cause === undefined ? {} : { cause }
  return new KestError('ERR_KEST_TOKEN', `the DPoP proof does not hold: ${why}`, options)
}
