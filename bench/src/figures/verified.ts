import type { TimeFigure } from '../figure.js'
import { createWorkload, rawSign } from '../workload.js'

export const verified: TimeFigure = {
  group: 'hook',
  name: 'a call of a verified() function, at a root',
  unit: 'µs',
  floor: 'one Ed25519 signature',
  async prepare() {
    const workload = createWorkload()
    const load = workload.kest.verified(
      { operation: 'GET /orders/:id', policy: 'orders/read', origin: 'user_input', user: (id: string) => id },
      async (id: string) => id,
    )
    return {
      floor: rawSign(workload, (await workload.chain(1)).entry.jws),
      subject: () => load('alice@example.org'),
    }
  },
}
