import { KestError } from '../errors.js'
import { readBounded } from './published-keys.js'

/** Bounds of one request for a JWK Set. */
export interface FetchJwksOptions {
  readonly fetch: typeof fetch
  readonly timeoutMs: number
  readonly maxBytes: number
}

/**
 * Fetches a JWK Set. Redirects are not followed: the operator named the URL that speaks for the principal, and no other.
 * The body is bounded while it is read.
 *
 * @returns the members of `keys`, not yet looked at
 * @throws {KestError} `ERR_KEST_KEYS_UNAVAILABLE` for any failure: network, time, status, size, form
 */
export async function fetchJwks(
  url: URL,
  { fetch, timeoutMs, maxBytes }: FetchJwksOptions,
): Promise<readonly unknown[]> {
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/jwk-set+json, application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    const body = await readBounded(response, maxBytes)
    if (response.status !== 200) throw new Error(`status ${response.status}`)
    const { keys } = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as { keys?: unknown }
    if (!Array.isArray(keys)) throw new Error('no JWK Set')
    return keys
  } catch (cause) {
    throw new KestError('ERR_KEST_KEYS_UNAVAILABLE', `the keys at ${url.href} could not be fetched`, {
      cause,
    })
  }
}
