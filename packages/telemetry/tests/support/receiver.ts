import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { expect, onTestFinished } from 'vitest'

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
      // Whoever leaves before his request is whole is not answered.
      const body = await buffer(request).catch(() => null)
      if (body === null) return
      const received = { path: request.url ?? '', headers: request.headers, body }
      this.received.push(received)
      const answer = this.answer(received)
      if (answer === null) return
      response
        .writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers })
        .end(answer.body ?? '')
    }
    this.#server = createServer(onRequest)
  }

  /** @param port of one that was there before; whoever has it meanwhile, for a connection say, is waited for */
  static async listen(port = 0): Promise<Receiver> {
    const receiver = new Receiver()
    await expect
      .poll(async () => {
        receiver.#server.listen(port, '127.0.0.1')
        return await once(receiver.#server, 'listening').catch((error: NodeJS.ErrnoException) => error.code)
      })
      .not.toBe('EADDRINUSE')
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
