// hop2 at the floor: signed lineage by plain APIs of Node, and no Kest.
import { once } from 'node:events'
import express from 'express'
import { Agent, request } from 'undici'
import { itemOf } from '../../services/item.js'
import { NextHop } from '../../services/next.js'
import { endInGoodOrder } from '../../services/serve.js'
import { readSettings, required } from '../../services/settings.js'
import { createHop } from './hop.js'
import { writeBaggage } from './lineage.js'

const settings = readSettings(process.env)
const next = required(settings.next, 'NEXT_URL')
const pass = await createHop('hop2/from_hop1', settings)
const dispatcher = new Agent()

const nextHop = new NextHop({
  service: 'hop2',
  url: next,
  timeoutMs: 3_000,
  async send(url, signal, headers = {}) {
    const { statusCode, body } = await request(url, { dispatcher, signal, headers })
    return { status: statusCode, text: () => body.text() }
  },
})

const app = express()
app.disable('x-powered-by')
app.get('/health', (_request, response) => {
  response.json({ status: 'ok' })
})
app.get('/', async ({ url, headers }, response) => {
  const baggage = writeBaggage(await pass(headers['baggage'], itemOf(url)))
  const { status, body } = await nextHop.ask(url, { baggage })
  response.status(status).json(body)
})

const server = app.listen(settings.port, settings.host)
await once(server, 'listening')
endInGoodOrder(server, () => dispatcher.close())
