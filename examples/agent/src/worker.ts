// Finishes what was left in the queue, later, in the name of whoever asked for it.
import { getCurrentUser } from '@kest/core'
import { onStop, tell } from './child.js'
import { JOBS } from './names.js'
import { Queue } from './queue.js'
import { placeOf, startWorkload } from './workload.js'

const place = placeOf(process.argv.slice(2))
const { kest, stop } = await startWorkload('worker', place)
const queue = await Queue.open(place.out)
const messages = kest.messages({ operation: { policy: 'deliveries/take' } })
const stopped = new AbortController()
onStop(async () => {
  stopped.abort()
  await stop()
})

tell('ready')
await queue.take(async ({ headers, body }) => {
  const delivery = await messages.receive({ headers, body, from: JOBS })
  await delivery.run(() => tell(`delivered ${JSON.parse(body).item} to ${getCurrentUser()}`))
}, stopped.signal)
