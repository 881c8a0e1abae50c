import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import {
  kestMcpClient,
  type McpClientOptions,
  type McpServerOptions,
  protectMcpServer,
} from '../../src/index.js'
import type { AnyClient, AnyServer, Line, ServedHttp } from './lines.js'

/** A server with these tools, protected where options say so. */
export function serverOf(
  line: Line,
  options: McpServerOptions | null,
  register: (server: AnyServer) => void,
): AnyServer {
  const server = line.server()
  if (options !== null) protectMcpServer(server.mcp, options)
  register(server)
  return server
}

export function clientOf(line: Line, options: McpClientOptions | null): AnyClient {
  const client = line.client()
  return options === null ? client : { ...client, mcp: kestMcpClient(client.mcp, options) }
}

/** Connects the two within this process. */
export async function connect(line: Line, client: AnyClient, server: AnyServer): Promise<AnyClient> {
  const [near, far] = line.pair()
  onTestFinished(async () => {
    await client.mcp.close()
    await server.mcp.close()
  })
  await server.mcp.connect(far)
  await client.mcp.connect(near)
  return client
}

/** A server's child process: `fixtures/stdio-server.mjs`. */
export async function connectStdio(line: Line, client: AnyClient, mode = 'protected'): Promise<AnyClient> {
  const fixture = new URL('../fixtures/stdio-server.mjs', import.meta.url)
  onTestFinished(() => client.mcp.close())
  await client.mcp.connect(line.stdioClient([fixture.pathname, line.name, mode]))
  return client
}

export interface Endpoint {
  readonly url: URL
  /** Each request that came, with its headers. */
  readonly requests: readonly IncomingMessage['headers'][]
}

type Handle = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/** Serves sessions over Streamable HTTP: each has a server of its own. */
export async function serveHttp(
  line: Line,
  make: () => AnyServer,
  {
    options = {},
    around = (_request, _response, handle) => handle(),
  }: {
    readonly options?: object
    readonly around?: (
      request: IncomingMessage,
      response: ServerResponse,
      handle: () => Promise<void>,
    ) => Promise<void>
  } = {},
): Promise<Endpoint> {
  const sessions = new Map<string, ServedHttp>()
  const requests: IncomingMessage['headers'][] = []
  const servers: AnyServer[] = []
  const handle: Handle = async (request, response) => {
    const id = request.headers['mcp-session-id']
    const known = typeof id === 'string' ? sessions.get(id) : undefined
    if (known !== undefined) return known.handle(request, response)
    const server = make()
    servers.push(server)
    const served = line.http({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (session: string) => void sessions.set(session, served),
      ...options,
    })
    await server.mcp.connect(served.transport)
    return served.handle(request, response)
  }
  const listening = createServer((request, response) => {
    requests.push({ ...request.headers })
    void around(request, response, () => handle(request, response))
  })
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    for (const server of servers) await server.mcp.close()
    listening.closeAllConnections()
    await new Promise((resolve) => listening.close(resolve))
  })
  const { port } = listening.address() as AddressInfo
  return { url: new URL(`http://127.0.0.1:${port}/mcp`), requests }
}

export async function connectHttp(
  line: Line,
  client: AnyClient,
  { url }: Endpoint,
  options = {},
): Promise<AnyClient> {
  onTestFinished(() => client.mcp.close())
  await client.mcp.connect(line.httpClient(url, options))
  return client
}
