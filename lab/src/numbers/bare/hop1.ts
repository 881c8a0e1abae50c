// hop1 without Kest: what the chain costs by itself.
import { fastify } from 'fastify'
import { forward } from '../../services/item.js'
import { endInGoodOrder } from '../../services/serve.js'
import { readSettings, required } from '../../services/settings.js'

const settings = readSettings(process.env)
const next = required(settings.next, 'NEXT_URL')

const app = fastify()
app.get('/health', () => ({ status: 'ok' }))
app.get('/', async ({ url }, reply) => {
  const response = await fetch(forward(next, url))
  if (!response.ok) reply.code(502)
  return { service: 'hop1', next: await response.json() }
})

await app.listen({ host: settings.host, port: settings.port })
endInGoodOrder(app.server, async () => {})
