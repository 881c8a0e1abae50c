import type { Kest } from '../config/kest.js'
import { KestConfigError } from '../errors.js'
import { jwksOf } from '../identity/jwks.js'

/** An answer that serves keys (RFC 7517 §5). */
export interface PublishedKeys {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * For adapters that serve the workload's public keys: what to answer, asked at each request, since keys change. Throws then
 * when the identity has none at the moment.
 *
 * @param where which option asks for it
 * @throws {KestConfigError} when there is no identity, or it has no key to publish: those who sign with certificates have
 * none, their keys come with the entry (K-X5C)
 */
export function publishedKeys(where: string, { identity }: Kest, maxAgeSeconds = 300): () => PublishedKeys {
  if (!hasPublicKey(identity))
    throw new KestConfigError(`${where}: no identity is configured that has a public key to publish`)
  const headers = {
    'content-type': 'application/jwk-set+json',
    'cache-control': `public, max-age=${maxAgeSeconds}`,
  }
  return () => ({ headers, body: JSON.stringify(jwksOf(identity)) })
}

function hasPublicKey(identity: unknown): identity is Parameters<typeof jwksOf>[0] {
  return typeof (identity as { getPublicJwk?: unknown } | null)?.getPublicJwk === 'function'
}
