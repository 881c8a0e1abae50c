import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as client2 from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { Client as OldClient } from 'mcp-sdk-1.17/client/index.js'
import { SSEClientTransport as OldSse } from 'mcp-sdk-1.17/client/sse.js'
import { StreamableHTTPClientTransport as OldHttp } from 'mcp-sdk-1.17/client/streamableHttp.js'
import { describe, expect, it, onTestFinished } from 'vitest'
import { kestMcpClient, type McpClientOptions } from '../src/index.js'
import { service, within } from './support/services.js'

const agent = service('agent')

interface Way {
  readonly name: string
  /** Whether a call goes on to where a server of another origin sends it. */
  readonly follows: boolean
  client(): {
    connect(transport: never): Promise<void>
    request(request: never, schema: never): Promise<unknown>
  }
  transport(url: URL, options?: object): unknown
}

const INFO = { name: 'client', version: '1.0.0' }
const line1 = { client: () => new Client(INFO) as never }
const line2 = { client: () => new client2.Client(INFO) as never }
const old = { client: () => new OldClient(INFO) as never }
const FOLLOW = { redirectPolicy: 'follow' } as const

/** Each way in which the lines of the SDK send a call over HTTP. */
const WAYS: readonly Way[] = [
  { name: '1.17', follows: true, ...old, transport: (url, more) => new OldHttp(url, more) },
  { name: '1.17, SSE', follows: true, ...old, transport: (url, more) => new OldSse(url, more) },
  {
    name: 'line 1',
    follows: false,
    ...line1,
    transport: (url, more) => new StreamableHTTPClientTransport(url, more),
  },
  {
    name: 'line 1 told to follow',
    follows: true,
    ...line1,
    transport: (url, more) => new StreamableHTTPClientTransport(url, { ...FOLLOW, ...more }),
  },
  {
    name: 'line 1 told to follow, SSE',
    follows: true,
    ...line1,
    transport: (url, more) => new SSEClientTransport(url, { ...FOLLOW, ...more }),
  },
  {
    name: 'line 2',
    follows: false,
    ...line2,
    transport: (url, more) => new client2.StreamableHTTPClientTransport(url, more),
  },
  {
    name: 'line 2 told to follow',
    follows: true,
    ...line2,
    transport: (url, more) => new client2.StreamableHTTPClientTransport(url, { ...FOLLOW, ...more }),
  },
  {
    name: 'line 2 told to follow, SSE',
    follows: true,
    ...line2,
    transport: (url, more) => new client2.SSEClientTransport(url, { ...FOLLOW, ...more }),
  },
]

interface Sent {
  readonly method: string | undefined
  readonly params?: { readonly arguments?: unknown; readonly _meta?: Readonly<Record<string, unknown>> }
}

interface Origin {
  readonly origin: string
  /** The calls that have come, and where to. */
  readonly calls: (Sent & { readonly path: string })[]
}

/** Answers what a client asks for, over either transport; `/moved…` leads to where `to` says. */
async function serve(redirect: { status: number; to: string } | null): Promise<Origin> {
  const calls: Origin['calls'] = []
  let stream: ServerResponse | null = null
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = String(request.url)
    if (request.method === 'GET' && path.endsWith('/sse')) {
      stream = response.writeHead(200, { 'content-type': 'text/event-stream' })
      stream.write(`event: endpoint\ndata: ${path}/messages\n\n`)
      return
    }
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    if (request.method !== 'POST') return void response.writeHead(405).end()
    const message = JSON.parse(Buffer.concat(chunks).toString()) as Sent & { id?: unknown }
    if (message.method === 'tools/call') {
      calls.push({ ...message, path })
      if (redirect !== null && !path.startsWith('/there'))
        return void response.writeHead(redirect.status, { location: redirect.to }).end('moved')
    }
    if (message.id === undefined) return void response.writeHead(202).end()
    const result =
      message.method === 'initialize'
        ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: INFO }
        : { content: [{ type: 'text', text: 'done' }] }
    const answer = JSON.stringify({ jsonrpc: '2.0', id: message.id, result })
    if (!path.includes('/sse')) response.writeHead(200, { 'content-type': 'application/json' }).end(answer)
    else {
      response.writeHead(202).end()
      stream?.write(`event: message\ndata: ${answer}\n\n`)
    }
  }
  const server = createServer((request, response) => void handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls }
}

const CALL = {
  name: 'tool',
  arguments: { text: 'kest.passport is no member here' },
  _meta: { baggage: 'tenant=a', other: 1 },
}
interface Connected {
  callTool(call: typeof CALL): Promise<unknown>
  close(): Promise<void>
}

/** Calls a tool over a client's own transport. */
async function callsOver(
  way: Way,
  url: URL,
  carry: McpClientOptions['carry'],
  options?: object,
): Promise<unknown> {
  const client = kestMcpClient(way.client(), { kest: agent, carry })
  const connected = client as unknown as Connected
  onTestFinished(() => connected.close())
  await client.connect(way.transport(url, options) as never)
  return within(agent, 'agent.run', () => connected.callTool(CALL))
}

const baggageOf = ({ params }: Sent) => String(params?._meta?.['baggage'])

describe.each(WAYS)('redirects, $name', (way) => {
  const sse = way.name.endsWith('SSE')
  const path = sse ? '/sse' : '/mcp'

  it.each([307, 308])('K-REDIRECT never takes the passport to another origin, by a %i', async (status) => {
    for (const carry of [true, 'named', 'both'] as const) {
      const stranger = await serve(null)
      const named = await serve({ status, to: `${stranger.origin}/there` })
      const origins = carry === 'both' ? [named.origin, stranger.origin] : [named.origin]
      const answered = callsOver(way, new URL(path, named.origin), carry === true || origins).then(
        () => 'answered',
        () => 'not followed',
      )
      if (sse) await expect.poll(() => stranger.calls.length).toBe(1)
      else expect(await answered).toBe(way.follows ? 'answered' : 'not followed')
      expect(baggageOf(named.calls[0] as Sent)).toMatch(/^kest\.passport=.*,tenant=a$/)
      const { params = {} } = stranger.calls[0] ?? {}
      expect(stranger.calls.map(baggageOf)).toEqual(way.follows ? ['tenant=a'] : [])
      if (way.follows) expect(params).toMatchObject(CALL)
    }
  })

  it('K-REDIRECT takes it along within the origin', async () => {
    const named = await serve({ status: 307, to: '/there' })
    const answered = callsOver(way, new URL(path, named.origin), [named.origin])
    await expect.poll(() => named.calls.map(({ path }) => path).at(-1)).toBe('/there')
    if (!sse) await answered
    else answered.catch(() => {})
    expect(named.calls.map(baggageOf)).toEqual(Array(2).fill(expect.stringMatching(/kest\.passport=/)))
  })
})

describe.each(WAYS.filter(({ name }) => !name.endsWith('SSE')))('a fetch of one’s own, $name', (way) => {
  const URL_OF_TOOLS = new URL('http://tools.example/mcp')

  /** Answers a call as `answer` says, and what else a client asks for as a server would. */
  function answering(answer: (to: URL, init: RequestInit) => Response | Promise<Response>) {
    const bodies = new Map<string, string>()
    const fetch = async (input: string | URL, init: RequestInit = {}) => {
      const body = String(init.body)
      if (!body.includes('"tools/call"')) {
        const { id } = (init.body === undefined ? {} : JSON.parse(body)) as { id?: unknown }
        const result = { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: INFO }
        if (id === undefined) return new Response(null, { status: init.method === 'GET' ? 405 : 202 })
        return Response.json({ jsonrpc: '2.0', id, result })
      }
      bodies.set(String(input), body)
      return answer(new URL(input), init)
    }
    return { fetch, bodies }
  }
  const moved = (location: string, status = 307) => new Response('moved', { status, headers: { location } })
  const done = ({ body }: RequestInit) => {
    const { id } = JSON.parse(String(body)) as { id: unknown }
    return Response.json({ jsonrpc: '2.0', id, result: { content: [] } })
  }

  it('K-REDIRECT takes https for another origin than http', async () => {
    const { fetch, bodies } = answering(({ protocol }, init) =>
      protocol === 'https:' || init.redirect !== 'manual' ? done(init) : moved('https://tools.example/mcp'),
    )
    await callsOver(way, URL_OF_TOOLS, [URL_OF_TOOLS.origin], { fetch })
    const elsewhere = bodies.get('https://tools.example/mcp') ?? bodies.get(URL_OF_TOOLS.href)
    expect(elsewhere).toContain('"baggage":"tenant=a"')
  })

  it('K-REDIRECT says so where a fetch follows that was told not to', async () => {
    const { fetch } = answering((_, init) =>
      Object.defineProperties(done(init), {
        redirected: { value: true },
        url: { value: 'https://stranger.example/mcp' },
      }),
    )
    await expect(callsOver(way, URL_OF_TOOLS, true, { fetch })).rejects.toMatchObject({
      code: 'ERR_KEST_OUTBOUND',
      message: expect.stringContaining('https://stranger.example'),
    })
  })

  it('leaves a request alone that is not to be redirected', async () => {
    const asked: unknown[] = []
    const { fetch } = answering((_, init) => {
      asked.push(init.redirect)
      return moved('https://stranger.example/mcp')
    })
    const requestInit = { redirect: 'error' }
    await expect(callsOver(way, URL_OF_TOOLS, true, { fetch, requestInit })).rejects.toThrow()
    expect(asked).toEqual(['error'])
  })

  it('K-REDIRECT refuses what goes round in the origin for ever, and gives it up without lineage', async () => {
    let carried = 0
    const { fetch } = answering((to, { body, redirect }) => {
      if (String(body).includes('kest.passport=')) carried++
      if (redirect !== 'manual') throw new TypeError('too many redirects')
      return moved(to.href)
    })
    await expect(callsOver(way, URL_OF_TOOLS, true, { fetch })).rejects.toThrow()
    expect(carried).toBe(6)
  })
})

it('K-REDIRECT where origins decide, a transport is refused whose redirects cannot be seen', async () => {
  const client = kestMcpClient(new Client(INFO) as never, { kest: agent, carry: ['http://tools.example'] })
  const own = { _url: new URL('http://tools.example/mcp'), start: async () => {}, send: async () => {} }
  await expect((client as unknown as Client).connect(own as never)).rejects.toMatchObject({
    code: 'ERR_KEST_CONFIG',
    message: expect.stringContaining('cannot be seen'),
  })
})
