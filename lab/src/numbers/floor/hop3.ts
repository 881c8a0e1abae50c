// hop3 at the floor: signed lineage by plain APIs of Node, and no Kest.
import { fastify } from 'fastify'
import { itemOf } from '../../services/item.js'
import { endInGoodOrder } from '../../services/serve.js'
import { readSettings } from '../../services/settings.js'
import { createHop } from './hop.js'

const settings = readSettings(process.env)
const pass = await createHop('hop3/two_hops_away', settings)

const app = fastify()
app.get('/health', () => ({ status: 'ok' }))
app.get('/', async ({ url, headers }) => {
  // Its entry is on record, and goes no further.
  await pass(headers['baggage'], itemOf(url))
  return { service: 'hop3', status: 'end_of_chain' }
})

await app.listen({ host: settings.host, port: settings.port })
endInGoodOrder(app.server, async () => {})
