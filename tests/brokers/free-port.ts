import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

// Below those that systems give to outgoing connections, so that nobody takes one between our look and its use.
const FIRST = 20_000
const COUNT = 12_000
const LOOKS = 200

/** A port of 127.0.0.1 where nobody listens now. */
export async function freePort(): Promise<number> {
  for (let i = 0; i < LOOKS; i++) {
    const port = FIRST + randomInt(COUNT)
    const server = createServer().listen({ host: '127.0.0.1', port, exclusive: true })
    const free = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!free) continue
    server.close()
    await once(server, 'close')
    return port
  }
  throw new Error(`no free port was found on 127.0.0.1 in ${LOOKS} looks`)
}
