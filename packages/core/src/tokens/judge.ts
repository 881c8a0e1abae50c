import { KestError } from '../errors.js'
import type { MaybePromise } from '../maybe-promise.js'
import { createInsecureDecoder } from './insecure.js'
import { createOpaqueJudge } from './judge-opaque.js'
import { contentOf, type JudgeDeps, type Judgement, type JudgeToken } from './judgement.js'
import { nameOfToken, RememberedTokens, type TokenName } from './remembered-tokens.js'
import { createTokenKeys } from './token-keys.js'
import type { ResolvedTokenOptions } from './token-options.js'
import { createJwtVerifier, isInForce } from './verify-jwt.js'

/** Judges the tokens of one issuer, or of several that share their keys and all else. */
export function createJudge(options: ResolvedTokenOptions, deps: JudgeDeps): JudgeToken {
  const { verify } = options
  if (verify === null) {
    const decode = createInsecureDecoder(deps.logger)
    return (jwt) => ({ ...contentOf(decode(jwt), options), validUntil: null, options })
  }
  const { introspection } = verify
  if (introspection !== null) return createOpaqueJudge(options, { ...verify, introspection }, deps)
  const { clock } = deps
  const { clockToleranceMs } = verify
  const keys = createTokenKeys(verify, deps)
  const verifyJwt = createJwtVerifier(verify, keys, clock)
  const remembered = new RememberedTokens<Judgement>(verify.maxRemembered)
  const verified = async (jwt: string, name: TokenName): Promise<Judgement> => {
    const { payload, generation } = await verifyJwt(jwt)
    const validUntil = (payload.exp as number) * 1000 + clockToleranceMs
    const judgement = { ...contentOf(payload, options), validUntil, options }
    remembered.set(name, generation, judgement)
    return judgement
  }
  const presently = (jwt: string, name: TokenName): MaybePromise<Judgement> => {
    const known = remembered.get(name, keys.generation)
    const isGood = known !== undefined && isInForce(known.claims, clockToleranceMs, clock.now())
    return isGood ? known : verified(jwt, name)
  }
  return (jwt) => {
    // In a list another's bound may be the larger one.
    if (jwt.length > options.maxTokenBytes)
      throw new KestError('ERR_KEST_TOKEN', `at most ${options.maxTokenBytes} bytes of a token are read`)
    const name = nameOfToken(jwt)
    const settling = remembered.has(name) ? keys.settle() : undefined
    return settling === undefined ? presently(jwt, name) : settling.then(() => presently(jwt, name))
  }
}
