import type { JWTPayload } from 'jose'
import type { Clock } from '../clock.js'
import { KestError } from '../errors.js'
import type { Logger } from '../telemetry/logger.js'
import { identityOf } from './claims.js'
import { createInsecureDecoder } from './insecure.js'
import { nameOfToken, RememberedTokens, type TokenContent } from './remembered-tokens.js'
import { createTokenKeys } from './token-keys.js'
import type { ResolvedTokenOptions } from './token-options.js'
import { createJwtVerifier, isInForce } from './verify-jwt.js'

/** What a judge found. */
export interface Judgement extends TokenContent {
  /** Milliseconds since the epoch; `null` where nothing was checked. */
  readonly validUntil: number | null
}

/** A token → what it says, if it holds. Rejects with what refuses it. */
export type JudgeToken = (jwt: string) => Promise<Judgement>

/** What a judge works with. */
export interface JudgeDeps {
  readonly clock: Clock
  readonly logger: Logger
}

/** Judges the tokens of one issuer, or of several that share their keys and all else. */
export function createJudge(options: ResolvedTokenOptions, deps: JudgeDeps): JudgeToken {
  const { verify } = options
  if (verify === null) {
    const decode = createInsecureDecoder(deps.logger)
    return async (jwt) => ({ ...contentOf(decode(jwt), options), validUntil: null })
  }
  const { clock } = deps
  const { clockToleranceMs } = verify
  const keys = createTokenKeys(verify, deps)
  const verifyJwt = createJwtVerifier(verify, keys, clock)
  const remembered = new RememberedTokens(verify.maxRemembered)
  const judged = (content: TokenContent): Judgement => ({
    ...content,
    validUntil: (content.claims.exp as number) * 1000 + clockToleranceMs,
  })
  return async (jwt) => {
    // In a list another's bound may be the larger one.
    if (jwt.length > options.maxTokenBytes)
      throw new KestError('ERR_KEST_TOKEN', `at most ${options.maxTokenBytes} bytes of a token are read`)
    const name = nameOfToken(jwt)
    if (remembered.has(name)) await keys.settle()
    const known = remembered.get(name, keys.generation)
    if (known !== undefined && isInForce(known.claims, clockToleranceMs, clock.now())) return judged(known)
    const { payload, generation } = await verifyJwt(jwt)
    const content = contentOf(payload, options)
    remembered.set(name, generation, content)
    return judged(content)
  }
}

function contentOf(claims: JWTPayload, { claims: mappings, delegation }: ResolvedTokenOptions): TokenContent {
  return { ...identityOf(claims, mappings, delegation), claims: deepFreeze(claims) }
}

/** Of JSON that was just parsed: a tree, as deep as a token of a few kilobytes can be. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
