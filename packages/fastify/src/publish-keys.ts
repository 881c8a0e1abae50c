import { jwksOf, type Kest, KestConfigError } from '@kest/core'
import type { FastifyInstance } from 'fastify'

/**
 * Serves the workload's public keys, as they are at each request, to whoever asks (RFC 7517 §5).
 * @throws {KestConfigError} when there is no identity, or it has no key to publish
 */
export function publishKeys(instance: FastifyInstance, url: string, { identity }: Kest): void {
  if (!hasPublicKey(identity)) {
    throw new KestConfigError(
      'kestFastify.publishKeys: no identity is configured that has a public key to publish',
    )
  }
  instance.get(url, { config: { kest: false } }, function kestPublishKeys(_request, reply) {
    reply
      .headers({ 'content-type': 'application/jwk-set+json', 'cache-control': 'public, max-age=300' })
      .send(Buffer.from(JSON.stringify(jwksOf(identity))))
  })
}

/** Those who sign with certificates have none: their keys come with the entry (K-X5C). */
function hasPublicKey(identity: unknown): identity is Parameters<typeof jwksOf>[0] {
  return typeof (identity as { getPublicJwk?: unknown } | null)?.getPublicJwk === 'function'
}
