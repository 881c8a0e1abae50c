import { AsyncLocalStorage } from 'node:async_hooks'
import { KestError } from '@kest/core'
import { createClient } from '@redis/client'
import { answeringBytes, type RedisCommands } from './client.js'
import type { ResolvedRedisOptions } from './options.js'

type Client = ReturnType<typeof createClient>

/** A longer pause between two attempts serves nobody: requests are refused meanwhile. */
const LONGEST_PAUSE_MS = 2_000
/** Nothing was answered for so many time-outs: the connection may be one that the other end does not know. */
const SILENT_TIMEOUTS = 10

/**
 * A connection of our own to one server. It is made again when it is lost, and when nothing was answered on it for ten time-outs:
 * a firewall may have forgotten it, which TCP itself notices after minutes.
 */
export class Connection {
  readonly #options: ResolvedRedisOptions
  /** Where it was opened: a connection that is made again is nobody's request. */
  readonly #outside = AsyncLocalStorage.snapshot()
  #client: Client
  #commands: RedisCommands
  #answeredAt = performance.now()
  #lost: unknown
  #closed = false

  private constructor(options: ResolvedRedisOptions) {
    this.#options = options
    this.#client = this.#create()
    this.#commands = answeringBytes(this.#client)
  }

  /** @throws {KestError} `ERR_KEST_CACHE` when the server cannot be reached in time, or refuses */
  static async open(options: ResolvedRedisOptions): Promise<Connection> {
    const connection = new Connection(options)
    const { connectTimeoutMs, server } = options
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`no connection within ${connectTimeoutMs} ms`)),
        connectTimeoutMs,
      )
    })
    try {
      await Promise.race([connection.#client.connect(), late])
      return connection
    } catch (error) {
      connection.close()
      const cause = connection.#lost ?? error
      throw new KestError('ERR_KEST_CACHE', `RedisCache: ${server?.url.host} cannot be reached`, { cause })
    } finally {
      clearTimeout(timer)
    }
  }

  get commands(): RedisCommands {
    return this.#commands
  }

  /** Why there is no connection, where there is none. */
  get lost(): unknown {
    return this.#client.isReady ? undefined : this.#lost
  }

  answered(): void {
    this.#answeredAt = performance.now()
  }

  /** An answer did not come in time. */
  late(): void {
    const silentMs = performance.now() - this.#answeredAt
    if (this.#closed || !this.#client.isReady || silentMs < SILENT_TIMEOUTS * this.#options.timeoutMs) return
    this.#lost = new Error(`nothing was answered for ${Math.round(silentMs)} ms`)
    this.#answeredAt = performance.now()
    this.#outside(() => {
      this.#client.destroy()
      this.#client = this.#create()
      this.#commands = answeringBytes(this.#client)
      this.#client.connect().catch((error: unknown) => {
        this.#lost = error
      })
    })
  }

  /** Idempotent. What is under way fails. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#client.destroy()
  }

  #create(): Client {
    const { server, connectTimeoutMs } = this.#options
    const { url, tls } = server as NonNullable<typeof server>
    const reconnectStrategy = (retries: number): number =>
      Math.min(50 * 2 ** Math.min(retries, 10), LONGEST_PAUSE_MS)
    const common = { connectTimeout: connectTimeoutMs, reconnectStrategy }
    const client = createClient({
      url: url.href,
      socket: url.protocol === 'rediss:' ? { ...common, ...tls, tls: true } : common,
      // What cannot be asked now is refused now: a request waits for it.
      disableOfflineQueue: true,
      maintNotifications: 'disabled',
    })
    client.on('error', (error: unknown) => {
      this.#lost = error
    })
    // It keeps no process alive; who waits for an answer does.
    client.unref()
    return client as Client
  }
}
