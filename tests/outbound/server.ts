import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One request as it came in. */
export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface TestServer {
  readonly origin: string
  readonly received: Received[]
  close(): Promise<void>
}

/** Answers a request; default 200 with the request's body. */
export type Answer = (request: Received, response: ServerResponse) => void

const echo: Answer = ({ body }, response) => void response.end(body)

/** A server on a port of its own that remembers what it was sent. */
export async function startServer(answer: Answer = echo): Promise<TestServer> {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { method = '', url = '', headers } = request
    const body = Buffer.concat(chunks).toString()
    received.push({ method, url, headers, body })
    answer({ method, url, headers, body }, response)
  })
  // Clients close what is idle. Were it the server, it might be while one of them sends.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    origin: `http://127.0.0.1:${port}`,
    received,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Sends whoever asks for `/to?<url>` there, with this status. */
export function redirecting(status = 302): Answer {
  return (request, response) => {
    const [path, to] = request.url.split('?', 2)
    if (path !== '/to' || to === undefined) return echo(request, response)
    response.writeHead(status, { location: decodeURIComponent(to) }).end()
  }
}

/** Whether anything of ours is in a request, in whichever header. */
export function showsKest({ headers }: Received): boolean {
  return /kest/i.test(JSON.stringify(headers))
}
