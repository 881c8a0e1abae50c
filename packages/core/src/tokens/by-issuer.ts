import { KestError } from '../errors.js'
import { claimedIssuer } from './judge-opaque.js'
import type { JudgeToken } from './judgement.js'

/**
 * Has each token judged by the options of the issuer that it names, and by no other's. What it names is not believed by that:
 * the judge checks it. What is no JWT is for the one that is asked about tokens, if there is one.
 */
export function judgeByIssuer(
  judges: ReadonlyMap<string, JudgeToken>,
  opaque: JudgeToken | undefined,
): JudgeToken {
  return async (token) => {
    const issuer = claimedIssuer(token)
    const judge = issuer === null ? opaque : judges.get(issuer)
    if (judge !== undefined) return judge(token)
    const why = issuer === null ? 'is not a JWT' : 'is of no issuer that is accepted here'
    throw new KestError('ERR_KEST_TOKEN', `the bearer token ${why}`)
  }
}
