import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Answer, Received, TestServer } from '../../../../tests/outbound/server.js'
import { isRecord } from '../../src/message.js'

type Headers = Readonly<Record<string, unknown>>

/**
 * MCP over Streamable HTTP without a library of it: it may answer anything. A call of a tool is written as a request of HTTP whose path
 * is the text that the tool is given; its answer as one of HTTP: 400 and more is an error of JSON-RPC, everything else a result.
 */
export async function startRawServer(answer: Answer = () => {}): Promise<TestServer> {
  const received: Received[] = []
  const server = createServer(async (request, response) => {
    if (request.method !== 'POST') return void response.writeHead(405).end()
    const message = await bodyOf(request)
    const { id, method } = message
    const { params = {} } = message as { params?: Record<string, unknown> }
    const reply = (rest: object): void => send(response, { jsonrpc: '2.0', id, ...rest })
    if (id === undefined) return void response.writeHead(202).end()
    if (method === 'initialize')
      return reply({ result: { ...INITIALIZED, protocolVersion: params['protocolVersion'] } })
    if (method !== 'tools/call') return reply({ error: { code: -32601, message: 'Method not found' } })
    const { arguments: given, _meta: meta } = params as {
      arguments: { text: string }
      _meta?: { baggage?: string }
    }
    const call: Received = {
      method: 'POST',
      url: given.text,
      headers: meta?.baggage === undefined ? {} : { baggage: meta.baggage },
      body: '',
    }
    received.push(call)
    answer(call, new RawAnswer(reply, (make) => sendEvents(response, make(id))) as never)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const INITIALIZED = { capabilities: { tools: {} }, serverInfo: { name: 'raw', version: '1.0.0' } }

class RawAnswer {
  readonly #reply: (rest: object) => void
  readonly #pieces: string[] = []
  #status = 200
  #meta: Headers = {}

  /** By hand: any messages, as events. */
  readonly messages: (make: (id: unknown) => readonly object[]) => void

  constructor(reply: (rest: object) => void, messages: RawAnswer['messages']) {
    this.#reply = reply
    this.messages = messages
  }

  writeHead(status: number, { trailer: _, ...headers }: Headers = {}): this {
    this.#status = status
    // What a header says in one field is one text here.
    this.#meta = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [
        name,
        Array.isArray(value) && value.length === 1 ? value[0] : value,
      ]),
    )
    return this
  }

  write(piece: string): void {
    this.#pieces.push(piece)
  }

  addTrailers(): void {}

  end(piece = ''): void {
    const text = [...this.#pieces, piece].join('')
    if (this.#status < 400) this.#reply({ result: { content: [{ type: 'text', text }], _meta: this.#meta } })
    else this.#reply({ error: { code: -32050, message: text, data: this.#meta } })
  }
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const message: unknown = JSON.parse(Buffer.concat(chunks).toString())
  return isRecord(message) ? message : {}
}

function send(response: ServerResponse, message: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(message))
}

function sendEvents(response: ServerResponse, messages: readonly object[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.end(messages.map((message) => `event: message\ndata: ${JSON.stringify(message)}\n\n`).join(''))
}
