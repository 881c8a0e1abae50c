// hop2 without Kest: what the chain costs by itself.
import { once } from 'node:events'
import express from 'express'
import { Agent, request } from 'undici'
import { forward } from '../../services/item.js'
import { endInGoodOrder } from '../../services/serve.js'
import { readSettings, required } from '../../services/settings.js'

const settings = readSettings(process.env)
const next = required(settings.next, 'NEXT_URL')
const dispatcher = new Agent()

const app = express()
app.disable('x-powered-by')
app.get('/health', (_request, response) => {
  response.json({ status: 'ok' })
})
app.get('/', async ({ url }, response) => {
  const { statusCode, body } = await request(forward(next, url), { dispatcher })
  if (statusCode !== 200) response.status(502)
  response.json({ service: 'hop2', next: await body.json() })
})

const server = app.listen(settings.port, settings.host)
await once(server, 'listening')
endInGoodOrder(server, () => dispatcher.close())
