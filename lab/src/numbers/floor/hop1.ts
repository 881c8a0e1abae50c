// hop1 at the floor: signed lineage by plain APIs of Node, and no Kest.
import { fastify } from 'fastify'
import { ITEM_QUERY, itemOf } from '../../services/item.js'
import { NextHop } from '../../services/next.js'
import { endInGoodOrder } from '../../services/serve.js'
import { readSettings, required } from '../../services/settings.js'
import { createHop } from './hop.js'
import { writeBaggage } from './lineage.js'

const settings = readSettings(process.env)
const next = required(settings.next, 'NEXT_URL')
const pass = await createHop('hop1/users_may_start', settings)

const nextHop = new NextHop({
  service: 'hop1',
  url: next,
  timeoutMs: 6_000,
  async send(url, signal, headers = {}) {
    const response = await fetch(url, { signal, headers })
    return { status: response.status, text: () => response.text() }
  },
})

const app = fastify()
app.get('/health', () => ({ status: 'ok' }))
app.get('/', {
  schema: { querystring: ITEM_QUERY },
  async handler({ url }, reply) {
    const baggage = writeBaggage(await pass(undefined, itemOf(url)))
    const { status, body } = await nextHop.ask(url, { baggage })
    reply.code(status)
    return body
  },
})

await app.listen({ host: settings.host, port: settings.port })
endInGoodOrder(app.server, async () => {})
