// The last hop. Fastify.
import './kest.js'
import { kestFastify } from '@kest/fastify'
import { fastify } from 'fastify'
import { serve } from './serve.js'

const app = fastify()
await app.register(kestFastify)
app.get('/prices/:id', { config: { kest: { policy: 'shop/read' } } }, async () => ({ price: 42 }))

await app.listen({ host: '127.0.0.1', port: 0 })
serve(app.server)
