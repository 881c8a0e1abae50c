// hop1 without Kest: what the chain costs by itself.
import { fastify } from 'fastify'
import { ITEM_QUERY } from '../../services/item.js'
import { NextHop } from '../../services/next.js'
import { endInGoodOrder } from '../../services/serve.js'
import { readSettings, required } from '../../services/settings.js'

const settings = readSettings(process.env)
const next = required(settings.next, 'NEXT_URL')

const nextHop = new NextHop({
  service: 'hop1',
  url: next,
  timeoutMs: 6_000,
  async send(url, signal) {
    const response = await fetch(url, { signal })
    return { status: response.status, text: () => response.text() }
  },
})

const app = fastify()
app.get('/health', () => ({ status: 'ok' }))
app.get('/', {
  schema: { querystring: ITEM_QUERY },
  async handler({ url }, reply) {
    const { status, body } = await nextHop.ask(url)
    reply.code(status)
    return body
  },
})

await app.listen({ host: settings.host, port: settings.port })
endInGoodOrder(app.server, async () => {})
