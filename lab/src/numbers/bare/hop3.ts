// hop3 without Kest: what the chain costs by itself.
import { fastify } from 'fastify'
import { endInGoodOrder } from '../../services/serve.js'
import { readSettings } from '../../services/settings.js'

const settings = readSettings(process.env)

const app = fastify()
app.get('/health', () => ({ status: 'ok' }))
app.get('/', () => ({ service: 'hop3', status: 'end_of_chain' }))

await app.listen({ host: settings.host, port: settings.port })
endInGoodOrder(app.server, async () => {})
