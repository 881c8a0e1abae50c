import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An issuer of tokens as it is seen by who asks it: a server on a free port. */
export interface Issuer {
  readonly url: string
  close(): Promise<void>
}

export async function startIssuer(answer: RequestListener): Promise<Issuer> {
  // Clients close what is idle. Were it the server, it might be while one of them sends.
  const server = createServer({ keepAliveTimeout: 0 }, answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
