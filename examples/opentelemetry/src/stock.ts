// Internal: a request without lineage is refused. Fastify, and fetch. It asks a third party as well.
import './kest.js'
import { kestFastify } from '@kest/fastify'
import { patchGlobalFetch } from '@kest/undici'
import axios from 'axios'
import { fastify } from 'fastify'
import { serve } from './serve.js'

const prices = process.env['PRICES_URL'] ?? 'http://127.0.0.1:8003'
const rates = process.env['RATES_URL'] ?? 'http://127.0.0.1:9000'
patchGlobalFetch({ propagateTo: [prices] })

const app = fastify()
await app.register(kestFastify)
app.get<{ Params: { id: string } }>(
  '/stock/:id',
  { config: { kest: { policy: 'shop/read' } } },
  async ({ params }) => {
    const price = await fetch(`${prices}/prices/${params.id}`)
    // Neither of these is in scope: they carry the trace, and nothing of Kest.
    await Promise.all([axios.get(`${rates}/by-axios`), fetch(`${rates}/by-fetch`)])
    return { stock: 7, ...((await price.json()) as object) }
  },
)

await app.listen({ host: '127.0.0.1', port: 0 })
serve(app.server)
