import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose'
import { assertKnown } from '../assert-known.js'
import type { JwtBundleSource } from '../bundle/bundle-source.js'
import { SpiffeError } from '../errors.js'
import { SpiffeId } from '../id/spiffe-id.js'

/** JWT-SVID §2.1. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512']
/** Characters; headers that carry one are bounded anyway. */
const MAX_LENGTH = 16_384

/** An identity as a token (JWT-SVID). */
export interface JwtSvid {
  readonly id: SpiffeId
  /** The compact token: whoever has it is taken for its subject. Does not show when the SVID is printed or made JSON of. */
  readonly token: string
  readonly audience: readonly string[]
  /** When it ends, milliseconds since the epoch. */
  readonly expiresAt: number
  readonly issuedAt: number | undefined
  readonly claims: Readonly<Record<string, unknown>>
  /** As that of {@link X509Svid}; empty when nothing. */
  readonly hint: string
}

/**
 * Reads a JWT-SVID and checks its form (JWT-SVID §2, §3): algorithm, type, subject, audience and expiry.
 *
 * Does *not* verify its signature: for a token that came from one's own agent. {@link verifyJwtSvid} is for others'.
 *
 * @param options.audience it must be for at least one of these
 * @throws {SpiffeError} `ERR_SPIFFE_JWT_SVID`. No error shows the token.
 */
export function parseJwtSvid(
  token: string,
  options: { readonly audience: string | readonly string[]; readonly hint?: string; readonly now?: number },
): JwtSvid {
  assertKnown('parseJwtSvid', options, ['audience', 'hint', 'now'])
  const { alg, typ, claims } = decode(token)
  if (!ALGORITHMS.includes(alg)) throw wrong(`the algorithm ${JSON.stringify(alg)} is not allowed`)
  if (typ !== undefined && typ !== 'JWT' && typ !== 'JOSE')
    throw wrong(`typ ${JSON.stringify(typ)} is not allowed`)
  const id = subjectOf(claims)
  const audience = audienceOf(claims)
  const expected = typeof options.audience === 'string' ? [options.audience] : options.audience
  if (!expected.some((name) => audience.includes(name))) throw wrong('it is for another audience')
  const expiresAt = seconds(claims.exp)
  if (expiresAt === undefined) throw wrong('it has no expiry')
  if (expiresAt <= (options.now ?? Date.now())) throw wrong('it has expired')
  return new Svid(token, {
    id,
    audience,
    expiresAt,
    issuedAt: seconds(claims.iat),
    claims,
    hint: options.hint ?? '',
  })
}

/**
 * Verifies a JWT-SVID of somebody else: its form as {@link parseJwtSvid}, and its signature by a key of the bundle of its
 * subject's own trust domain.
 *
 * @param options.audience who one is: the token must be for that
 * @param options.skewMs how far clocks may differ; default 0
 * @throws {SpiffeError} `ERR_SPIFFE_JWT_SVID`, `ERR_SPIFFE_BUNDLE_UNKNOWN`, and what the source throws
 */
export async function verifyJwtSvid(
  token: string,
  bundles: JwtBundleSource,
  options: { readonly audience: string; readonly skewMs?: number; readonly now?: number },
): Promise<JwtSvid> {
  assertKnown('verifyJwtSvid', options, ['audience', 'skewMs', 'now'])
  const { audience, skewMs = 0, now = Date.now() } = options
  const svid = parseJwtSvid(token, { audience, now: now - skewMs })
  const { name } = svid.id.trustDomain
  const bundle = bundles.getJwtBundle(name)
  if (bundle === undefined)
    throw new SpiffeError('ERR_SPIFFE_BUNDLE_UNKNOWN', `there is no bundle of JWT keys of ${name}`)
  try {
    await jwtVerify(
      token,
      ({ kid }) => {
        // Where the bundle has one key alone, the optional `kid` (JWT-SVID §2.2) tells nothing that is not known.
        const key =
          kid === undefined && bundle.keys.size === 1
            ? [...bundle.keys.values()][0]
            : bundle.keys.get(kid ?? '')
        if (key === undefined) throw wrong(`no key of ${name} has its kid`)
        return key
      },
      {
        algorithms: ALGORITHMS,
        audience,
        clockTolerance: skewMs / 1000,
        currentDate: new Date(now),
        requiredClaims: ['sub', 'aud', 'exp'],
      },
    )
    return svid
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause
    throw wrong(cause instanceof errors.JOSEError ? cause.message : 'it does not verify', cause)
  }
}

/** The token is no own member: what prints an object, or makes JSON of it, does not see it. */
class Svid implements JwtSvid {
  readonly id: SpiffeId
  readonly audience: readonly string[]
  readonly expiresAt: number
  readonly issuedAt: number | undefined
  readonly claims: Readonly<Record<string, unknown>>
  readonly hint: string
  readonly #token: string

  constructor(token: string, facts: Omit<JwtSvid, 'token'>) {
    this.id = facts.id
    this.audience = Object.freeze([...facts.audience])
    this.expiresAt = facts.expiresAt
    this.issuedAt = facts.issuedAt
    this.claims = facts.claims
    this.hint = facts.hint
    this.#token = token
    Object.freeze(this)
  }

  get token(): string {
    return this.#token
  }
}

function decode(token: unknown): {
  readonly alg: string
  readonly typ: unknown
  readonly claims: JWTPayload
} {
  if (typeof token !== 'string' || token.length > MAX_LENGTH) {
    throw wrong(`expected a token of at most ${MAX_LENGTH} characters`)
  }
  try {
    const { alg, typ } = decodeProtectedHeader(token)
    return { alg: String(alg), typ, claims: Object.freeze(decodeJwt(token)) }
  } catch {
    throw wrong('it cannot be read')
  }
}

function subjectOf({ sub }: JWTPayload): SpiffeId {
  try {
    return SpiffeId.parse(sub as string)
  } catch (cause) {
    throw wrong('its subject is not a SPIFFE ID', cause)
  }
}

function audienceOf({ aud }: JWTPayload): readonly string[] {
  const audience: unknown = typeof aud === 'string' ? [aud] : aud
  if (Array.isArray(audience) && audience.length > 0 && audience.every((name) => typeof name === 'string')) {
    return audience as string[]
  }
  throw wrong('it has no audience')
}

function seconds(time: unknown): number | undefined {
  return typeof time === 'number' && Number.isFinite(time) ? time * 1000 : undefined
}

function wrong(why: string, cause?: unknown): SpiffeError {
  return new SpiffeError('ERR_SPIFFE_JWT_SVID', `JWT-SVID: ${why}`, cause === undefined ? {} : { cause })
}
