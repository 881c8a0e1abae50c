import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** What it answers; `null`: nothing, ever. */
type Answer = {
  readonly status: number
  readonly body?: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
} | null

/** A real HTTP server in place of a Collector, that answers as the test says. */
export class Receiver {
  readonly received: Received[] = []
  answer: (request: Received) => Answer = () => ({ status: 200, body: '{}' })
  readonly #server: Server

  private constructor() {
    const onRequest: RequestListener = async (request, response) => {
      const received = { path: request.url ?? '', headers: request.headers, body: await buffer(request) }
      this.received.push(received)
      const answer = this.answer(received)
      if (answer === null) return
      response
        .writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers })
        .end(answer.body ?? '')
    }
    this.#server = createServer(onRequest)
  }

  static async listen(port = 0): Promise<Receiver> {
    const receiver = new Receiver()
    receiver.#server.listen(port, '127.0.0.1')
    await once(receiver.#server, 'listening')
    onTestFinished(() => receiver.close())
    return receiver
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }
}
