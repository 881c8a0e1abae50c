// hop2 without Kest: what the chain costs by itself.
import { once } from 'node:events'
import express from 'express'
import { Agent, request } from 'undici'
import { NextHop } from '../../services/next.js'
import { endInGoodOrder } from '../../services/serve.js'
import { readSettings, required } from '../../services/settings.js'

const settings = readSettings(process.env)
const next = required(settings.next, 'NEXT_URL')
const dispatcher = new Agent()

const nextHop = new NextHop({
  service: 'hop2',
  url: next,
  timeoutMs: 3_000,
  async send(url, signal) {
    const { statusCode, body } = await request(url, { dispatcher, signal })
    return { status: statusCode, text: () => body.text() }
  },
})

const app = express()
app.disable('x-powered-by')
app.get('/health', (_request, response) => {
  response.json({ status: 'ok' })
})
app.get('/', async ({ url }, response) => {
  const { status, body } = await nextHop.ask(url)
  response.status(status).json(body)
})

const server = app.listen(settings.port, settings.host)
await once(server, 'listening')
endInGoodOrder(server, () => dispatcher.close())
