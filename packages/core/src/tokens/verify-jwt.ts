import {
  type CryptoKey,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  type JWTVerifyResult,
  errors as joseErrors,
  jwtVerify,
} from 'jose'
import type { Clock } from '../clock.js'
import { KestError } from '../errors.js'
import { shown } from '../shown.js'
import { oneLine } from '../telemetry/one-line.js'
import type { TokenKeys } from './issuer-keys.js'
import { normalizeType, type ResolvedVerification } from './token-options.js'

/** Types that a token has by default; none at all is fine too, as RFC 7519 has it. */
const USUAL_TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt'])
/** A message may quote the token's header, as long as that is. */
const MAX_WHY = 200
/** Keys that are tried for a token which names none. */
const MAX_CANDIDATES = 8

/** What a JWT says, and by which generation of keys. */
export interface VerifiedJwt {
  readonly payload: JWTPayload
  readonly generation: number
}

/** A JWT → its claims, all of it checked. */
export type VerifyJwt = (jwt: string) => Promise<VerifiedJwt>

/** How JWTs are verified. `audience: null` leaves it to whoever reads the claims. */
type JwtRules = Pick<ResolvedVerification, 'issuer' | 'algorithms' | 'types' | 'clockToleranceMs'> & {
  readonly audience: string[] | null
}

/**
 * Checks signature, algorithm, `typ`, issuer, audience, `exp`, which is required, and `nbf`. Rejects with `ERR_KEST_TOKEN`,
 * or `ERR_KEST_KEYS_UNAVAILABLE` when nothing can be said.
 */
export function createJwtVerifier(options: JwtRules, keys: TokenKeys, clock: Clock): VerifyJwt {
  const checks = {
    issuer: options.issuer,
    ...(options.audience !== null && { audience: options.audience }),
    algorithms: options.algorithms,
    clockTolerance: options.clockToleranceMs / 1000,
    requiredClaims: ['exp'],
  }
  return async (jwt) => {
    let { generation } = keys
    const find: JWTVerifyGetKey = async (...asked) => {
      const found = await keys.find(...asked)
      generation = found.generation
      return found.key
    }
    try {
      const { payload, protectedHeader } = await verified(jwt, find, {
        ...checks,
        currentDate: new Date(clock.now()),
      })
      assertType(protectedHeader.typ, options.types)
      return { payload, generation }
    } catch (cause) {
      // Ours says which; everything else that stops a verification is a token that was not verified.
      if (cause instanceof KestError) throw cause
      withoutClaims(cause)
      const why = oneLine((cause as Error).message, MAX_WHY)
      throw new KestError('ERR_KEST_TOKEN', `the bearer token does not hold: ${why}`, { cause })
    }
  }
}

/** Whether a token that was verified is in force now, too. `exp` and `nbf` were checked to be numbers. */
export function isInForce({ exp, nbf }: JWTPayload, toleranceMs: number, now: number): boolean {
  if (now - toleranceMs >= (exp as number) * 1000) return false
  return nbf === undefined || nbf * 1000 <= now + toleranceMs
}

async function verified(
  jwt: string,
  find: JWTVerifyGetKey,
  options: JWTVerifyOptions,
): Promise<JWTVerifyResult> {
  try {
    return await jwtVerify(jwt, find, options)
  } catch (error) {
    if (!(error instanceof joseErrors.JWKSMultipleMatchingKeys)) throw error
    return verifiedByAny(jwt, error, options)
  }
}

/** A token without `kid`, while several keys would fit: around a rotation, mostly. */
async function verifiedByAny(
  jwt: string,
  candidates: AsyncIterable<CryptoKey>,
  options: JWTVerifyOptions,
): Promise<JWTVerifyResult> {
  let tried = 0
  for await (const key of candidates) {
    if (tried++ === MAX_CANDIDATES) break
    try {
      return await jwtVerify(jwt, key, options)
    } catch (error) {
      if (!(error instanceof joseErrors.JWSSignatureVerificationFailed)) throw error
    }
  }
  throw new joseErrors.JWSSignatureVerificationFailed()
}

/** What jose says of a claim has all of them beside it: who prints the error would print whose token it was. */
function withoutClaims(error: unknown): void {
  if (error instanceof joseErrors.JWTClaimValidationFailed || error instanceof joseErrors.JWTExpired)
    for (const member of ['payload', 'cause']) Reflect.deleteProperty(error, member)
}

/** A JWS of another kind (`kest-hop`, `dpop+jwt`, `logout+jwt`) is no bearer token, whoever signed it (RFC 8725 §3.11). */
function assertType(typ: unknown, types: ReadonlySet<string> | null): void {
  if (typ === undefined && types === null) return
  if (typeof typ !== 'string' || !(types ?? USUAL_TYPES).has(normalizeType(typ))) {
    throw new KestError(
      'ERR_KEST_TOKEN',
      `a token of type ${typ === undefined ? 'undefined' : shown(String(typ))} is not accepted here`,
    )
  }
}
