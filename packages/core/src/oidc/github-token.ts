import { fetchJson } from '../identity/fetch-json.js'
import { publishedKeysUrl } from '../identity/published-keys.js'
import type { TokenRequest } from './token-source.js'
import { MAX_TOKEN_BYTES } from './vouching.js'

/** Where GitHub Actions says how a job asks for its tokens; set in jobs with `permissions: { id-token: write }`. */
export const GITHUB_URL = 'ACTIONS_ID_TOKEN_REQUEST_URL'
export const GITHUB_SECRET = 'ACTIONS_ID_TOKEN_REQUEST_TOKEN'

/**
 * Asks GitHub Actions for a token of the job that this runs in.
 * @throws {KestConfigError} for a URL that is not https (http on loopback only): the job's secret goes there
 */
export function githubTokens(requestUrl: string, secret: string, timeoutMs: number): TokenRequest {
  const base = publishedKeysUrl(requestUrl, GITHUB_URL)
  const bounds = { fetch, timeoutMs, maxBytes: 2 * MAX_TOKEN_BYTES }
  return async (audience) => {
    const url = new URL(base)
    url.searchParams.set('audience', audience)
    const headers = { accept: 'application/json', authorization: `Bearer ${secret}` }
    const { status, body } = await fetchJson(url, bounds, { headers })
    if (status !== 200) throw new Error(`GitHub answered with status ${status}`)
    return (body as { readonly value?: string } | null)?.value ?? ''
  }
}
