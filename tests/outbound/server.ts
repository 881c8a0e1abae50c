import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import http2, { type ServerHttp2Session } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'

/** One request as it came in. */
export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly httpVersion?: string
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
  const server = createServer(receiving(received, answer))
  // Clients close what is idle. Were it the server, it might be while one of them sends.
  server.keepAliveTimeout = 0
  return listening(server, 'http:', received, () => server.closeAllConnections())
}

/** One of HTTP/2: in the clear, or with a certificate. Its requests have no pseudo-headers. */
export async function startHttp2Server(
  answer: Answer = echo,
  identity?: { readonly cert: string; readonly key: string },
): Promise<TestServer> {
  const received: Received[] = []
  const sessions = new Set<ServerHttp2Session>()
  const handler = receiving(received, answer) as never
  const server = identity ? http2.createSecureServer(identity, handler) : http2.createServer(handler)
  server.on('session', (session) => sessions.add(session))
  return listening(server, identity ? 'https:' : 'http:', received, () => {
    for (const session of sessions) session.destroy()
  })
}

function receiving(received: Received[], answer: Answer) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { method = '', url = '', httpVersion } = request
    const body = Buffer.concat(chunks).toString()
    const headers: IncomingHttpHeaders = Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => !name.startsWith(':')),
    )
    received.push({ method, url, headers, body, httpVersion })
    answer({ method, url, headers, body }, response)
  }
}

async function listening(
  server: Server,
  protocol: string,
  received: Received[],
  closeAll: () => void,
): Promise<TestServer> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    origin: `${protocol}//127.0.0.1:${port}`,
    received,
    close: async () => {
      closeAll()
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
