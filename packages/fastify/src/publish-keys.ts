import { jwksOf, type Kest, KestConfigError, toProblem } from '@kest/core'
import type { FastifyInstance } from 'fastify'
import { answer } from './refuse.js'

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
  instance.get(url, { config: { kest: false } }, function kestPublishKeys(request, reply) {
    let text: string
    try {
      text = JSON.stringify(jwksOf(identity))
    } catch (error) {
      request.log.error({ err: error }, 'the identity has no key to publish now')
      answer(reply, toProblem(error))
      return
    }
    reply
      .headers({ 'content-type': 'application/jwk-set+json', 'cache-control': 'public, max-age=300' })
      .send(Buffer.from(text))
  })
}

/** Those who sign with certificates have none: their keys come with the entry (K-X5C). */
function hasPublicKey(identity: unknown): identity is Parameters<typeof jwksOf>[0] {
  return typeof (identity as { getPublicJwk?: unknown } | null)?.getPublicJwk === 'function'
}
