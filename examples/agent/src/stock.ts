// A service that knows nothing of agents: it is called with lineage, or not at all.
import { kestFastify } from '@kest/fastify'
import { fastify } from 'fastify'
import { onStop, tell } from './child.js'
import { placeOf, startWorkload } from './workload.js'

const { kest, stop } = await startWorkload('stock', placeOf(process.argv.slice(2)))

const app = fastify()
await app.register(kestFastify, { kest })
app.post('/items/:item', { config: { kest: { policy: 'stock/reserve' } } }, async () => ({ reserved: true }))
tell(await app.listen({ host: '127.0.0.1', port: 0 }))
onStop(async () => {
  await app.close()
  await stop()
})
