// The edge: users' requests begin here. Express, and axios.
import './kest.js'
import { once } from 'node:events'
import { kestExpress, protect } from '@kest/express'
import { patchHttp } from '@kest/http'
import axios from 'axios'
import express from 'express'
import { serve } from './serve.js'

const stock = process.env['STOCK_URL'] ?? 'http://127.0.0.1:8002'
patchHttp({ propagateTo: [stock] })

const app = express()
app.use(kestExpress({ origin: 'user_input' }))
app.get('/orders/:id', protect({ policy: 'shop/read' }), async (request, response) => {
  const { data } = await axios.get(`${stock}/stock/${request.params.id}`)
  response.json({ order: request.params.id, ...data })
})

const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
serve(server)
