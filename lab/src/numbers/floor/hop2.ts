// hop2 at the floor: signed lineage by plain APIs of Node, and no Kest.
import { once } from 'node:events'
import express from 'express'
import { Agent, request } from 'undici'
import { forward, itemOf } from '../../services/item.js'
import { endInGoodOrder } from '../../services/serve.js'
import { readSettings, required } from '../../services/settings.js'
import { createHop } from './hop.js'
import { writeBaggage } from './lineage.js'

const settings = readSettings(process.env)
const next = required(settings.next, 'NEXT_URL')
const pass = await createHop('hop2/from_hop1', settings)
const dispatcher = new Agent()

const app = express()
app.disable('x-powered-by')
app.get('/health', (_request, response) => {
  response.json({ status: 'ok' })
})
app.get('/', async ({ url, headers }, response) => {
  const baggage = writeBaggage(await pass(headers['baggage'], itemOf(url)))
  const { statusCode, body } = await request(forward(next, url), { dispatcher, headers: { baggage } })
  if (statusCode !== 200) response.status(502)
  response.json({ service: 'hop2', next: await body.json() })
})

const server = app.listen(settings.port, settings.host)
await once(server, 'listening')
endInGoodOrder(server, () => dispatcher.close())
