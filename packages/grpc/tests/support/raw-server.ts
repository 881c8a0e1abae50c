import { once } from 'node:events'
import http2, { type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Answer, Received, TestServer } from '../../../../tests/outbound/server.js'

/** Answers a call by hand, frame by frame, as no library of gRPC would. */
export type RawAnswer = (call: Received, stream: ServerHttp2Stream) => unknown

/** gRPC without a library of it: it may answer anything. Called with `{ url }` as message, once everything has come. */
export async function startRawServer(answer: RawAnswer): Promise<TestServer> {
  const received: Received[] = []
  const server = http2.createServer()
  const sessions = new Set<http2.ServerHttp2Session>()
  server.on('session', (session) => sessions.add(session))
  server.on('stream', async (stream, headers) => {
    stream.on('error', () => {})
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const first = body.subarray(5, 5 + body.readUInt32BE(1)).toString()
    const call: Received = {
      method: 'POST',
      ...JSON.parse(first),
      headers: withoutPseudo(headers),
      body: first,
    }
    received.push(call)
    await answer(call, stream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close: async () => {
      for (const session of sessions) session.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/**
 * The same, for what is written as an answer of HTTP: 400 and more is a status alone, everything else has a message,
 * in the forms that have several one for each piece.
 */
export function startRawServerAsHttp(answer: Answer = () => {}): Promise<TestServer> {
  return startRawServer((call, stream) => answer(call, new RawResponse(stream, call.method) as never))
}

export const HEAD = { ':status': 200, 'content-type': 'application/grpc' } as const

export function frame(message: unknown): Buffer {
  const bytes = Buffer.from(JSON.stringify(message))
  const head = Buffer.alloc(5)
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

/** Initial metadata, messages, trailers. */
export function sendAll(
  stream: ServerHttp2Stream,
  headers: OutgoingHttpHeaders,
  messages: readonly unknown[],
  trailers: OutgoingHttpHeaders = { 'grpc-status': '0' },
): void {
  stream.respond({ ...HEAD, ...headers }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers(trailers))
  stream.end(Buffer.concat(messages.map(frame)))
}

class RawResponse {
  readonly #stream: ServerHttp2Stream
  readonly #isStream: boolean
  #status = 200
  #headers: OutgoingHttpHeaders = {}
  #trailers: OutgoingHttpHeaders = {}
  readonly #pieces: string[] = []

  constructor(stream: ServerHttp2Stream, method: string) {
    this.#stream = stream
    this.#isStream = /\/(ServerStream|Bidi)$/.test(method)
  }

  writeHead(status: number, headers: OutgoingHttpHeaders = {}): this {
    this.#status = status
    this.#headers = headers
    return this
  }

  write(piece: string): void {
    this.#pieces.push(piece)
  }

  addTrailers(trailers: OutgoingHttpHeaders): void {
    this.#trailers = trailers
  }

  end(piece = ''): void {
    if (this.#status >= 400) {
      const ended = { ...HEAD, ...this.#headers, 'grpc-status': '13', 'grpc-message': piece }
      this.#stream.respond(ended, { endStream: true })
    } else {
      const { trailer: _, ...headers } = this.#headers
      const pieces = [...this.#pieces, piece]
      const messages = this.#isStream ? pieces : [pieces.join('')]
      sendAll(this.#stream, headers, messages, { 'grpc-status': '0', ...this.#trailers })
    }
  }
}

function withoutPseudo(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(':')))
}
