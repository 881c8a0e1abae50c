import type { KeyObject } from 'node:crypto'
import { types } from 'node:util'
import {
  type CryptoKey,
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type JSONWebKeySet,
  type JWK,
  type JWTVerifyGetKey,
} from 'jose'
import { KestConfigError, KestError } from '../errors.js'
import { publishedKeysUrl, readBounded } from '../identity/published-keys.js'
import type { ResolvedTokenOptions } from './token-options.js'

/** What a JWKS may weigh; those of large providers have a few kilobytes. */
const MAX_JWKS_BYTES = 262_144

/** The issuer's keys: by `kid` out of a set, or one key for every token. */
export type TokenKeys = JWTVerifyGetKey

/**
 * Keys that tokens are verified with. A set behind a URL is fetched on first use.
 *
 * @throws {KestConfigError} for keys that are secret or private, and for a URL that is neither https nor loopback.
 */
export function createTokenKeys(options: NonNullable<ResolvedTokenOptions['verify']>): TokenKeys {
  const { jwks } = options
  if (typeof jwks === 'string' || jwks instanceof URL)
    return remote(publishedKeysUrl(jwks, 'token.jwks'), options)
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

function remote(url: URL, options: NonNullable<ResolvedTokenOptions['verify']>): TokenKeys {
  const keys = createRemoteJWKSet(url, {
    timeoutDuration: options.jwksTimeoutMs,
    cooldownDuration: options.jwksCooldownMs,
    cacheMaxAge: options.jwksMaxAgeMs,
    [customFetch]: boundedFetch,
  })
  return async (header, token) => {
    try {
      return await keys(header, token)
    } catch (cause) {
      if (cause instanceof errors.JWKSNoMatchingKey || cause instanceof errors.JWKSMultipleMatchingKeys) {
        throw cause
      }
      throw new KestError('ERR_KEST_KEYS_UNAVAILABLE', `no usable JWKS from ${url.origin}`, { cause })
    }
  }
}

/** As `fetch`, and stops reading at {@link MAX_JWKS_BYTES}. Redirects are answers, not followed (jose asks for that). */
async function boundedFetch(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init)
  if (response.status !== 200) {
    await response.body?.cancel()
    return response
  }
  return new Response(await readBounded(response, MAX_JWKS_BYTES), { status: 200 })
}
