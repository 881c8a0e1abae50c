import { decodeJwt, type JWTPayload } from 'jose'
import { KestError } from '../errors.js'
import { Introspection } from './introspection.js'
import type { ResolvedIntrospection } from './introspection-options.js'
import { assertNesting, contentOf, type JudgeDeps, type JudgeToken } from './judgement.js'
import type { ResolvedTokenOptions, ResolvedVerification } from './token-options.js'

/**
 * Judges tokens by asking their issuer (RFC 7662). A JWT that names another issuer is not shown to this one.
 *
 * The answer must name the audience, and the issuer if it names one; `exp` and `nbf` are checked where it has them.
 */
export function createOpaqueJudge(
  options: ResolvedTokenOptions,
  verify: ResolvedVerification & { readonly introspection: ResolvedIntrospection },
  { clock }: JudgeDeps,
): JudgeToken {
  const { audience, clockToleranceMs, fetch, maxRemembered } = verify
  const issuer = verify.issuer[0] as string
  const introspection = new Introspection(verify.introspection, { issuer, fetch, maxRemembered, clock })
  return async (token) => {
    if (token.length > options.maxTokenBytes)
      throw refused(`at most ${options.maxTokenBytes} bytes of it are read`)
    const named = claimedIssuer(token)
    if (named !== null && named !== issuer) throw refused('it names another issuer')
    const claims = await introspection.ask(token)
    if (claims === null) throw refused('its issuer says that it is not active')
    const { iss, aud } = claims
    if (iss !== undefined && iss !== issuer) throw refused('unexpected "iss"')
    if (![aud].flat().some((one) => typeof one === 'string' && audience.includes(one)))
      throw refused('unexpected "aud"')
    assertInForce(claims, clockToleranceMs, clock.now())
    const { exp } = claims
    const validUntil = exp === undefined ? null : exp * 1000 + clockToleranceMs
    assertNesting(claims)
    // The answer is one for all requests with the token: what is read of it is a copy.
    return { ...contentOf(structuredClone(claims), options), validUntil, options }
  }
}

/** What a token names that is a JWT; `null` of one that is none. */
export function claimedIssuer(token: string): string | null {
  try {
    return String(decodeJwt(token).iss)
  } catch {
    return null
  }
}

function assertInForce({ exp, nbf }: JWTPayload, toleranceMs: number, now: number): void {
  for (const [name, time] of [
    ['exp', exp],
    ['nbf', nbf],
  ])
    if (time !== undefined && typeof time !== 'number') throw refused(`"${name}" must be a number`)
  if (exp !== undefined && now - toleranceMs >= exp * 1000) throw refused('it has expired')
  if (nbf !== undefined && nbf * 1000 > now + toleranceMs) throw refused('it is not in force yet')
}

function refused(why: string): KestError {
  return new KestError('ERR_KEST_TOKEN', `the bearer token does not hold: ${why}`)
}
