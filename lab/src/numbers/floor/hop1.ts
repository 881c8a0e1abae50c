// hop1 at the floor: signed lineage by plain APIs of Node, and no Kest.
import { fastify } from 'fastify'
import { forward, itemOf } from '../../services/item.js'
import { endInGoodOrder } from '../../services/serve.js'
import { readSettings, required } from '../../services/settings.js'
import { createHop } from './hop.js'
import { writeBaggage } from './lineage.js'

const settings = readSettings(process.env)
const next = required(settings.next, 'NEXT_URL')
const pass = await createHop('hop1/users_may_start', settings)

const app = fastify()
app.get('/health', () => ({ status: 'ok' }))
app.get('/', async ({ url }, reply) => {
  const baggage = writeBaggage(await pass(undefined, itemOf(url)))
  const response = await fetch(forward(next, url), { headers: { baggage } })
  if (!response.ok) reply.code(502)
  return { service: 'hop1', next: await response.json() }
})

await app.listen({ host: settings.host, port: settings.port })
endInGoodOrder(app.server, async () => {})
