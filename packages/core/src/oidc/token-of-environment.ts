import { KestConfigError } from '../errors.js'
import { GITHUB_SECRET, GITHUB_URL, githubTokens } from './github-token.js'
import type { OIDCToken } from './token-source.js'

const TOKEN_PATH = 'KEST_OIDC_TOKEN_PATH'
const AUDIENCE_PATH = 'KEST_OIDC_AUDIENCE_PATH'

/**
 * Where the deployment says that the token is: the file in `KEST_OIDC_TOKEN_PATH`, with the one for the audience in
 * `KEST_OIDC_AUDIENCE_PATH`; else, in a job of GitHub Actions that may have tokens, GitHub.
 *
 * @throws {KestConfigError} when it says nothing
 */
export function tokenOfEnvironment(timeoutMs: number): OIDCToken {
  const file = variable(TOKEN_PATH)
  const audienceFile = variable(AUDIENCE_PATH)
  if (file !== undefined) return { file, ...(audienceFile !== undefined && { audienceFile }) }
  if (audienceFile !== undefined)
    throw new KestConfigError(`OIDCIdentity: token: ${AUDIENCE_PATH} is set, and ${TOKEN_PATH} is not`)
  const [url, secret] = [variable(GITHUB_URL), variable(GITHUB_SECRET)]
  if (url !== undefined && secret !== undefined) return githubTokens(url, secret, timeoutMs)
  throw new KestConfigError(
    `OIDCIdentity: token: missing, and neither ${TOKEN_PATH} is set, nor ${GITHUB_URL} and ${GITHUB_SECRET}`,
  )
}

function variable(name: string): string | undefined {
  return process.env[name] || undefined
}
