// Express, and axios.
import { once } from 'node:events'
import { Agent } from 'node:http'
import type { AddressInfo } from 'node:net'
import { kestExpress, protect } from '@kest/express'
import { createKestAgent } from '@kest/http'
import axios from 'axios'
import express from 'express'
import type { Answer } from './answer.js'
import type { Workload } from './workload.js'

export async function startPrices({ kest }: Workload, rates: string) {
  const httpAgent = createKestAgent(new Agent({ keepAlive: true }), { kest, propagateTo: [rates] })

  const app = express()
  app.use(kestExpress({ kest }))
  app.get('/prices/:id', protect({ policy: 'shop/read' }), async (request, response) => {
    const { data } = await axios.get<Answer>(`${rates}/rates/${request.params['id']}`, { httpAgent })
    response.json({ ...data, hops: ['prices', ...data.hops] } satisfies Answer)
  })

  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      httpAgent.destroy()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
