import { KestConfigError, KestError } from '../errors.js'
import { type FetchBounds, fetchJson } from '../identity/fetch-json.js'
import { publishedKeysUrl } from '../identity/published-keys.js'

/** What an issuer says of itself, as far as tokens are judged by it. */
export interface IssuerMetadata {
  /** `null` where it names none. */
  readonly jwksUri: URL | null
  readonly introspectionEndpoint: URL | null
}

/**
 * An issuer that is to be discovered: an https URL without query and fragment (http on loopback only).
 * @throws {KestConfigError}
 */
export function issuerUrl(issuer: string): URL {
  const url = publishedKeysUrl(issuer, 'token.issuer (without jwks its metadata is fetched)')
  if (issuer.includes('?') || issuer.includes('#'))
    throw new KestConfigError(
      'token.issuer: the URL of an issuer has neither query nor fragment (RFC 8414 §2)',
    )
  return url
}

/**
 * Asks an issuer where its keys are: at `/.well-known/openid-configuration` below it (OpenID Connect Discovery 1.0 §4) or,
 * where there is none, at `/.well-known/oauth-authorization-server` before its path (RFC 8414 §3).
 *
 * What it names must name the issuer itself, letter by letter (RFC 8414 §3.3): one tenant's metadata are not another's.
 * Redirects are not followed, and the keys are at an https URL; http on loopback only, and only of an issuer that is itself
 * there.
 *
 * @throws {KestError} `ERR_KEST_KEYS_UNAVAILABLE` for any failure
 */
export async function fetchIssuerMetadata(issuer: string, bounds: FetchBounds): Promise<IssuerMetadata> {
  const url = issuerUrl(issuer)
  try {
    const metadata = await firstMetadata(url, bounds)
    if (metadata['issuer'] !== issuer) throw new Error('its metadata name another issuer')
    return {
      jwksUri: endpoint(metadata['jwks_uri'], 'jwks_uri', url),
      introspectionEndpoint: endpoint(metadata['introspection_endpoint'], 'introspection_endpoint', url),
    }
  } catch (cause) {
    throw new KestError('ERR_KEST_KEYS_UNAVAILABLE', `the metadata of ${issuer} could not be had`, { cause })
  }
}

async function firstMetadata(url: URL, bounds: FetchBounds): Promise<Readonly<Record<string, unknown>>> {
  const statuses: number[] = []
  for (const where of wellKnown(url)) {
    const { status, body } = await fetchJson(where, bounds, { headers: { accept: 'application/json' } })
    if (status === 200) {
      if (typeof body !== 'object' || body === null) throw new Error('its metadata are no object')
      return body as Readonly<Record<string, unknown>>
    }
    statuses.push(status)
  }
  throw new Error(`status ${statuses.join(' and ')}`)
}

function wellKnown({ origin, pathname }: URL): readonly URL[] {
  const path = pathname.replace(/\/$/, '')
  return [
    new URL(`${origin}${path}/.well-known/openid-configuration`),
    new URL(`${origin}/.well-known/oauth-authorization-server${path}`),
  ]
}

function endpoint(value: unknown, name: string, issuer: URL): URL | null {
  if (value === undefined) return null
  if (typeof value !== 'string') throw new Error(`${name} is no text`)
  const url = publishedKeysUrl(value, name)
  if (url.protocol === 'http:' && issuer.protocol !== 'http:')
    throw new Error(`${name} is on the loopback of whoever asks, and the issuer is not`)
  return url
}
