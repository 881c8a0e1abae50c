// The last hop. Fastify.
import { kestFastify } from '@kest/fastify'
import { fastify } from 'fastify'
import type { Answer } from './answer.js'
import type { Workload } from './workload.js'

export async function startRates({ kest }: Workload) {
  const app = fastify()
  await app.register(kestFastify, { kest })
  app.get('/rates/:id', { config: { kest: { policy: 'shop/read' } } }, async (request): Promise<Answer> => {
    return { hops: ['rates'], passport: request.kest?.passport.entries ?? [] }
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { url, close: () => app.close() }
}
