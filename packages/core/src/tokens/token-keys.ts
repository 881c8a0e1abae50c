import type { KeyObject } from 'node:crypto'
import { types } from 'node:util'
import { type CryptoKey, createLocalJWKSet, type JSONWebKeySet, type JWK, type JWTVerifyGetKey } from 'jose'
import type { Clock } from '../clock.js'
import { KestConfigError, KestError } from '../errors.js'
import { publishedKeysUrl } from '../identity/published-keys.js'
import type { Logger } from '../telemetry/logger.js'
import { IssuerKeys, type TokenKeys } from './issuer-keys.js'
import { fetchIssuerMetadata, issuerUrl } from './issuer-metadata.js'
import type { ResolvedVerification } from './token-options.js'

/** What an issuer's metadata may weigh; those of large providers have a few kilobytes. */
const MAX_METADATA_BYTES = 262_144

interface Deps {
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Keys that tokens are verified with. Those of an issuer, or behind a URL, are fetched on first use.
 *
 * @throws {KestConfigError} for keys that are secret or private, and for a URL that is neither https nor loopback.
 */
export function createTokenKeys(options: ResolvedVerification, deps: Deps): TokenKeys {
  const { jwks, issuer } = options
  if (jwks === null) return discovered(issuer, options, deps)
  if (typeof jwks === 'string' || jwks instanceof URL) {
    const url = publishedKeysUrl(jwks, 'token.jwks')
    return new IssuerKeys(url.origin, async () => url, settingsOf(options, deps))
  }
  return fixed(localKeys(jwks))
}

function localKeys(jwks: Exclude<ResolvedVerification['jwks'], string | URL | null>): JWTVerifyGetKey {
  if (isKey(jwks)) {
    if (jwks.type !== 'public') {
      throw new KestConfigError(`token.jwks: expected a public key, got a ${jwks.type} one`)
    }
    return async () => jwks
  }
  if (typeof jwks !== 'object') {
    throw new KestConfigError('token.jwks: expected the URL of a JWKS, a JWKS, or a public key')
  }
  const set = 'keys' in jwks ? (jwks as JSONWebKeySet) : { keys: [jwks as JWK] }
  if (!Array.isArray(set.keys) || set.keys.length === 0) {
    throw new KestConfigError('token.jwks: no keys in it')
  }
  set.keys.forEach(assertPublic)
  const local = createLocalJWKSet(set)
  // A single key is the key, whatever a token calls it.
  if (!('keys' in jwks)) return (header, token) => local({ alg: header.alg as string }, token)
  return local
}

function fixed(find: JWTVerifyGetKey): TokenKeys {
  return Object.freeze({
    generation: 0,
    settle: () => undefined,
    find: async (...asked: Parameters<JWTVerifyGetKey>) => ({ key: await find(...asked), generation: 0 }),
  })
}

function discovered(issuers: readonly string[], options: ResolvedVerification, deps: Deps): TokenKeys {
  const [issuer, another] = issuers
  if (issuer === undefined || another !== undefined)
    throw new KestConfigError(
      'token.issuer: without jwks it is one issuer, whose metadata are fetched; list the others as tokens of their own',
    )
  issuerUrl(issuer)
  const bounds = { fetch: options.fetch, timeoutMs: options.jwksTimeoutMs, maxBytes: MAX_METADATA_BYTES }
  const locate = async (): Promise<URL> => {
    const { jwksUri } = await fetchIssuerMetadata(issuer, bounds)
    if (jwksUri === null)
      throw new KestError('ERR_KEST_KEYS_UNAVAILABLE', `the metadata of ${issuer} have no jwks_uri`)
    return jwksUri
  }
  return new IssuerKeys(issuer, locate, settingsOf(options, deps))
}

function settingsOf(options: ResolvedVerification, deps: Deps) {
  return {
    fetch: options.fetch,
    timeoutMs: options.jwksTimeoutMs,
    cooldownMs: options.jwksCooldownMs,
    maxAgeMs: options.jwksMaxAgeMs,
    maxStaleMs: options.jwksMaxStaleMs,
    ...deps,
  }
}

function isKey(value: unknown): value is KeyObject | CryptoKey {
  return types.isKeyObject(value) || types.isCryptoKey(value)
}

function assertPublic(jwk: unknown, index: number): void {
  const what = `token.jwks: key ${index}`
  if (typeof jwk !== 'object' || jwk === null) throw new KestConfigError(`${what} is not a JWK`)
  if (!['OKP', 'EC', 'RSA'].includes((jwk as JWK).kty as string)) {
    throw new KestConfigError(`${what}: kty is not OKP, EC or RSA`)
  }
  if ('d' in jwk || 'k' in jwk) throw new KestConfigError(`${what} is private; only public keys verify`)
}
