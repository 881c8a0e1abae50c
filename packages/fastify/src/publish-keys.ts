import { type Kest, publishedKeys, toProblem } from '@kest/core'
import type { FastifyInstance } from 'fastify'
import { answer } from './refuse.js'

/**
 * Serves the workload's public keys, as they are at each request, to whoever asks (RFC 7517 §5).
 * @throws {KestConfigError} when there is no identity, or it has no key to publish
 */
export function publishKeys(instance: FastifyInstance, url: string, kest: Kest): void {
  const keys = publishedKeys('kestFastify.publishKeys', kest)
  instance.get(url, { config: { kest: false } }, function kestPublishKeys(request, reply) {
    try {
      const { headers, body } = keys()
      reply.headers(headers).send(Buffer.from(body))
    } catch (error) {
      request.log.error({ err: error }, 'the identity has no key to publish now')
      answer(reply, toProblem(error))
    }
  })
}
