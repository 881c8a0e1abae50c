import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { onTestFinished } from 'vitest'

/** What becomes of a connection. */
export type ProxyMode =
  | 'pass'
  /** Everything is taken, and nothing answered. */
  | 'hang'
  /** It is reset as soon as something is asked. */
  | 'reset'
  /** Each piece, in both directions, comes so much later. */
  | { readonly delayMs: number }
  /** This is answered, whatever is asked, and the connection closed. */
  | { readonly answer: string }

/** Between two programs: passes on what it gets, until it is told to do something else. */
export class FaultProxy {
  readonly #server: Server
  #target: URL | null = null
  readonly #open = new Set<Socket>()
  /** The piece that is written last, to each. */
  readonly #last = new WeakMap<Socket, Promise<void>>()
  #mode: ProxyMode = 'pass'

  private constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket) => this.#serve(socket))
  }

  /** It is gone with the test. */
  static async start(): Promise<FaultProxy> {
    const server = createServer({ noDelay: true })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const proxy = new FaultProxy(server)
    onTestFinished(() => proxy.close())
    return proxy
  }

  /** @returns where it is reached */
  leadTo(url: string): string {
    this.#target = new URL(url)
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen')
    return `http://127.0.0.1:${address.port}`
  }

  /** Of every connection, from now on. What hung is closed when that is over. */
  become(mode: ProxyMode): void {
    if (this.#mode === 'hang') this.cut()
    this.#mode = mode
  }

  /** Closes every connection that is open. */
  cut(): void {
    for (const socket of this.#open) socket.resetAndDestroy()
  }

  close(): void {
    this.#server.close()
    this.cut()
  }

  #serve(client: Socket): void {
    if (this.#target === null) throw new Error('the proxy leads nowhere')
    const { hostname, port } = this.#target
    const server = connect({ host: hostname, port: Number(port), noDelay: true })
    const both = [client, server]
    for (const socket of both) {
      this.#open.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#open.delete(socket)
        for (const other of both) other.destroy()
      })
    }
    client.on('data', (piece) => this.#pass(piece, client, server, true))
    server.on('data', (piece) => this.#pass(piece, server, client, false))
  }

  #pass(piece: Buffer, from: Socket, to: Socket, asked: boolean): void {
    const mode = this.#mode
    if (mode === 'hang') return
    if (mode === 'reset') from.resetAndDestroy()
    else if (mode === 'pass') this.#forward(piece, to, 0)
    else if ('delayMs' in mode) this.#forward(piece, to, mode.delayMs)
    else if (asked) from.end(mode.answer)
  }

  /** In the order in which they came, also when one is to wait longer than the next. */
  #forward(piece: Buffer, to: Socket, delayMs: number): void {
    const before = this.#last.get(to)
    const wait = delayMs === 0 ? undefined : sleep(delayMs)
    const sent = Promise.all([before, wait]).then(() => void (to.writable && to.write(piece)))
    this.#last.set(to, sent)
  }
}

/** An answer in HTTP. */
export function httpAnswer(status: string, type: string, body: string): string {
  const head = `content-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close`
  return `HTTP/1.1 ${status}\r\n${head}\r\n\r\n${body}`
}
