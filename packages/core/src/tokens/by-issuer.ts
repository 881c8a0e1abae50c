import { decodeJwt } from 'jose'
import { KestError } from '../errors.js'
import type { JudgeToken } from './judge.js'

/**
 * Has each token judged by the options of the issuer that it names, and by no other's. What it names is not believed by that:
 * the judge checks it.
 */
export function judgeByIssuer(judges: ReadonlyMap<string, JudgeToken>): JudgeToken {
  return async (jwt) => {
    const judge = judges.get(issuerOf(jwt))
    if (judge === undefined)
      throw new KestError('ERR_KEST_TOKEN', 'the bearer token is of no issuer that is accepted here')
    return judge(jwt)
  }
}

function issuerOf(jwt: string): string {
  try {
    return String(decodeJwt(jwt).iss)
  } catch (cause) {
    throw new KestError('ERR_KEST_TOKEN', 'the bearer token is not a JWT', { cause })
  }
}
