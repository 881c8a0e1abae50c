import type { IncomingMessage, ServerResponse } from 'node:http'
import * as client2 from '@modelcontextprotocol/client'
import { StdioClientTransport as StdioClientTransport2 } from '@modelcontextprotocol/client/stdio'
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node'
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport as StdioClientTransport1 } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport as HttpClientTransport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { InMemoryTransport as InMemoryTransport1 } from '@modelcontextprotocol/sdk/inMemory.js'
import { McpServer as McpServer1 } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport as HttpServerTransport1 } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import * as types1 from '@modelcontextprotocol/sdk/types.js'
import * as server2 from '@modelcontextprotocol/server'
import { z } from 'zod'

/** What a tool is called with, in the words of line 1. */
export interface ToolContext {
  readonly meta: Record<string, unknown> | undefined
  readonly headers: Record<string, unknown>
  readonly signal: AbortSignal
  progress(progress: number): Promise<void>
  sample(text: string): Promise<unknown>
  elicit(message: string): Promise<unknown>
  /** As any request, by what a handler is given. */
  ask(message: string): Promise<unknown>
  closeStream(): void
}

export type Tool = (args: { text?: string | undefined }, context: ToolContext) => unknown

export interface CallOptions {
  readonly meta?: Record<string, unknown>
  readonly onprogress?: (progress: unknown) => void
  readonly signal?: AbortSignal
  readonly timeout?: number
}

/** A server of either line: `mcp` is the SDK's own. */
export interface AnyServer {
  readonly mcp: { connect(transport: never): Promise<void>; close(): Promise<void> }
  tool(name: string, tool: Tool): void
  onerror(listener: (error: Error) => void): void
}

export interface AnyClient {
  readonly mcp: {
    connect(transport: never): Promise<void>
    request(request: never, schema: never): Promise<unknown>
    close(): Promise<void>
  }
  /** What the tool answers, parsed; rejects with the JSON-RPC error, and where the tool has failed. */
  call(tool: string, args?: Record<string, unknown>, options?: CallOptions): Promise<unknown>
  read(uri: string): Promise<unknown>
  prompt(name: string): Promise<unknown>
  list(): Promise<readonly string[]>
  /** Answers what the server asks for. */
  answers(method: 'sampling/createMessage' | 'elicitation/create', answer: (meta: unknown) => unknown): void
}

export interface ServedHttp {
  readonly transport: never
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>
}

export interface Line {
  readonly name: string
  server(): AnyServer
  client(): AnyClient
  pair(): readonly [client: never, server: never]
  http(options?: object): ServedHttp
  httpClient(url: URL, options?: object): never
  stdioClient(args: readonly string[]): never
}

const INPUT = z.object({ text: z.string().optional() }).loose()
const CAPABILITIES = { sampling: {}, elicitation: {} }
const SAMPLING = (text: string) => ({
  messages: [{ role: 'user' as const, content: { type: 'text' as const, text } }],
  maxTokens: 10,
})
const ELICITATION = (message: string) => ({
  message,
  requestedSchema: { type: 'object' as const, properties: {} },
})
const text = (value: unknown) => ({
  content: [{ type: 'text' as const, text: JSON.stringify(value ?? null) }],
})
const read = (uri: unknown) => ({ contents: [{ uri: String(uri), text: 'text' }] })
const prompted = () => ({
  messages: [{ role: 'user' as const, content: { type: 'text' as const, text: 'text' } }],
})

/** What a tool has answered. */
function answerOf(result: unknown): unknown {
  const { content, isError } = result as { content: { text: string }[]; isError?: boolean }
  const [first] = content
  if (isError === true) throw new Error(first?.text)
  return JSON.parse(first?.text ?? 'null')
}

const line1: Line = {
  name: 'line 1',
  server() {
    const mcp = new McpServer1({ name: 'server', version: '1.0.0' }, { capabilities: { tools: {} } })
    mcp.registerResource('doc', 'doc://one', {}, (uri) => read(uri))
    mcp.registerPrompt('greet', {}, prompted)
    return {
      mcp: mcp as never,
      onerror: (listener) => {
        mcp.server.onerror = listener
      },
      tool: (name, tool) => {
        mcp.registerTool(name, { inputSchema: INPUT }, async (args, extra) =>
          text(
            await tool(args, {
              meta: extra._meta,
              headers: { ...extra.requestInfo?.headers },
              signal: extra.signal,
              progress: (progress) =>
                extra.sendNotification({
                  method: 'notifications/progress',
                  params: { progressToken: extra._meta?.progressToken as string, progress },
                }),
              sample: (words) => mcp.server.createMessage(SAMPLING(words)),
              elicit: (message) =>
                extra.sendRequest(
                  { method: 'elicitation/create', params: ELICITATION(message) },
                  types1.ElicitResultSchema,
                ),
              ask: (message) =>
                extra.sendRequest(
                  { method: 'elicitation/create', params: ELICITATION(message) },
                  types1.ElicitResultSchema,
                ),
              closeStream: () => extra.closeSSEStream?.(),
            }),
          ),
        )
      },
    }
  },
  client() {
    const mcp = new Client1({ name: 'client', version: '1.0.0' }, { capabilities: CAPABILITIES })
    return {
      mcp: mcp as never,
      call: async (name, args = {}, { meta, ...options } = {}) =>
        answerOf(
          await mcp.callTool(
            { name, arguments: args, ...(meta !== undefined && { _meta: meta }) },
            undefined,
            options as never,
          ),
        ),
      read: (uri) => mcp.readResource({ uri }),
      prompt: (name) => mcp.getPrompt({ name }),
      list: async () => (await mcp.listTools()).tools.map(({ name }) => name),
      answers: (method, answer) => {
        const schema =
          method === 'sampling/createMessage' ? types1.CreateMessageRequestSchema : types1.ElicitRequestSchema
        mcp.setRequestHandler(
          schema as never,
          (async (request: { params: { _meta?: unknown } }) => answer(request.params._meta)) as never,
        )
      },
    }
  },
  pair: () => InMemoryTransport1.createLinkedPair() as never,
  http: (options) => {
    const transport = new HttpServerTransport1({ ...options })
    return {
      transport: transport as never,
      handle: (request, response) => transport.handleRequest(request, response),
    }
  },
  httpClient: (url, options) => new HttpClientTransport1(url, options) as never,
  stdioClient: (args) => new StdioClientTransport1({ command: process.execPath, args: [...args] }) as never,
}

const line2: Line = {
  name: 'line 2',
  server() {
    const mcp = new server2.McpServer({ name: 'server', version: '1.0.0' }, { capabilities: { tools: {} } })
    mcp.registerResource('doc', 'doc://one', {}, (uri) => read(uri))
    mcp.registerPrompt('greet', {}, prompted)
    return {
      mcp: mcp as never,
      onerror: (listener) => {
        mcp.server.onerror = listener
      },
      tool: (name, tool) => {
        mcp.registerTool(name, { inputSchema: INPUT }, async (args, context) => {
          const { mcpReq: request, http } = context
          return text(
            await tool(args, {
              meta: request._meta as Record<string, unknown> | undefined,
              headers: Object.fromEntries(http?.req?.headers ?? []),
              signal: request.signal,
              progress: (progress) =>
                request.notify({
                  method: 'notifications/progress',
                  params: { progressToken: request._meta?.progressToken as string, progress },
                }),
              sample: (words) => request.requestSampling(SAMPLING(words)),
              elicit: (message) => request.elicitInput(ELICITATION(message)),
              ask: (message) =>
                request.send({ method: 'elicitation/create', params: ELICITATION(message) } as never),
              closeStream: () => http?.closeSSE?.(),
            }),
          )
        })
      },
    }
  },
  client() {
    const mcp = new client2.Client({ name: 'client', version: '1.0.0' }, { capabilities: CAPABILITIES })
    return {
      mcp: mcp as never,
      call: async (name, args = {}, { meta, ...options } = {}) =>
        answerOf(
          await mcp.callTool(
            { name, arguments: args, ...(meta !== undefined && { _meta: meta }) } as never,
            options as never,
          ),
        ),
      read: (uri) => mcp.readResource({ uri }),
      prompt: (name) => mcp.getPrompt({ name }),
      list: async () => (await mcp.listTools()).tools.map(({ name }) => name),
      answers: (method, answer) => {
        mcp.setRequestHandler(method, (async (request: { params: { _meta?: unknown } }) =>
          answer(request.params._meta)) as never)
      },
    }
  },
  pair: () => server2.InMemoryTransport.createLinkedPair() as never,
  http: (options) => {
    const transport = new NodeStreamableHTTPServerTransport({ ...options })
    return {
      transport: transport as never,
      handle: (request, response) => transport.handleRequest(request, response),
    }
  },
  httpClient: (url, options) => new client2.StreamableHTTPClientTransport(url, options) as never,
  stdioClient: (args) => new StdioClientTransport2({ command: process.execPath, args: [...args] }) as never,
}

/** Both lines of the SDK. They speak to each other, too. */
export const LINES: readonly Line[] = [line1, line2]
