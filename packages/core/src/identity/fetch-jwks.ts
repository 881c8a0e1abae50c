import { KestError } from '../errors.js'
import { type FetchBounds, fetchJson } from './fetch-json.js'

/** Bounds of one request for a JWK Set. */
export type FetchJwksOptions = FetchBounds

/**
 * Fetches a JWK Set. Redirects are not followed: the operator named the URL that speaks for the principal, and no other.
 * The body is bounded while it is read.
 *
 * @returns the members of `keys`, not yet looked at
 * @throws {KestError} `ERR_KEST_KEYS_UNAVAILABLE` for any failure: network, time, status, size, form
 */
export async function fetchJwks(url: URL, bounds: FetchJwksOptions): Promise<readonly unknown[]> {
  try {
    const { status, body } = await fetchJson(url, bounds, {
      headers: { accept: 'application/jwk-set+json, application/json' },
    })
    if (status !== 200) throw new Error(`status ${status}`)
    const { keys } = (body ?? {}) as { keys?: unknown }
    if (!Array.isArray(keys)) throw new Error('no JWK Set')
    return keys
  } catch (cause) {
    // Without its query, which may be nobody's business.
    const where = url.origin + url.pathname
    throw new KestError('ERR_KEST_KEYS_UNAVAILABLE', `the keys at ${where} could not be fetched`, { cause })
  }
}
