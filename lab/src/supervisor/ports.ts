import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { CannotRun } from '../failure.js'

// Below those that systems give to outgoing connections, so that nobody takes one between our look and its use.
const FIRST = 20_000
const BLOCKS = 600
const BLOCK_SIZE = 20

/**
 * Ports of 127.0.0.1 that no other lab takes. The first of a block is a lock: whoever listens on it has the others. It
 * goes with its process, whichever way that ends.
 */
export class Ports implements AsyncDisposable {
  readonly #lock: Server
  readonly #free: number[]

  private constructor(lock: Server, free: number[]) {
    this.#lock = lock
    this.#free = free
  }

  /** Takes a block in which at least `count` ports are free now. */
  static async reserve(count: number): Promise<Ports> {
    const start = Math.floor(Math.random() * BLOCKS)
    for (let i = 0; i < BLOCKS; i++) {
      const first = FIRST + ((start + i) % BLOCKS) * BLOCK_SIZE
      const lock = await listen(first)
      if (lock === null) continue
      const free: number[] = []
      for (let port = first + 1; port < first + BLOCK_SIZE; port++) if (await isFree(port)) free.push(port)
      if (free.length >= count) return new Ports(lock, free)
      await close(lock)
    }
    throw new CannotRun(`there are no ${count} free ports side by side on 127.0.0.1`)
  }

  /** One that was not taken before. */
  take(): number {
    const port = this.#free.shift()
    if (port === undefined) throw new Error('more ports were taken than reserved')
    return port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#lock.listening) await close(this.#lock)
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen(port)
  if (server === null) return false
  await close(server)
  return true
}

async function listen(port: number): Promise<Server | null> {
  const server = createServer((socket) => socket.destroy())
  server.listen({ host: '127.0.0.1', port, exclusive: true })
  try {
    await once(server, 'listening')
    // It is there as long as this process is, and keeps it from nothing.
    return server.unref()
  } catch {
    return null
  }
}

async function close(server: Server): Promise<void> {
  await new Promise((resolve) => server.close(resolve))
}
