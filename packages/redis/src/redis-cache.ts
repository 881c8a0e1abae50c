import { type CacheProvider, KestError, type ReplayStore } from '@kest/core'
import { answeringBytes, type RedisCommands } from './client.js'
import { Connection } from './connection.js'
import { type RedisCacheOptions, type ResolvedRedisOptions, resolveOptions } from './options.js'
import { pack, unpack } from './value.js'

/** What a question costs at least, by itself. */
const QUESTION_BYTES = 256

/**
 * A claim-check cache (K-CLAIM) and a store of used hop tokens (K-HOP) on Redis or Valkey, for services in several processes. What
 * is stored has the time to live that Kest gives it; storing is one atomic command (`SET … NX PX`). Values are compressed, and
 * bounded on both ways. Reading proves nothing: a passport is verified, and its tips compared with those that came in the header
 * (K-TIP), as if it had come there itself.
 *
 * What cannot be asked, or is not answered in time, is `ERR_KEST_CACHE`: then nothing is sent, and nothing runs.
 *
 * @example
 * ```ts
 * const redis = await RedisCache.connect({ url: 'rediss://kest:secret@redis.svc.local:6379' })
 * const kest = createKest({ identity, engine, trust, cache: redis })
 * await app.register(kestFastify, { kest, binding: 'hop', audiences, replayStore: redis })
 * ```
 */
export class RedisCache implements CacheProvider, ReplayStore {
  readonly #options: ResolvedRedisOptions
  readonly #connection: Connection | null
  readonly #foreign: RedisCommands | null
  #pendingBytes = 0
  #closed = false

  private constructor(options: ResolvedRedisOptions, connection: Connection | null) {
    this.#options = options
    this.#connection = connection
    this.#foreign = options.client === null ? null : answeringBytes(options.client)
  }

  /**
   * Waits for the first connection; later ones are made by themselves.
   *
   * @throws {KestConfigError} for unknown or wrong options
   * @throws {KestError} by rejecting, `ERR_KEST_CACHE`: there is no connection within `connectTimeoutMs`, or the server refuses it
   */
  static async connect(options: RedisCacheOptions): Promise<RedisCache> {
    const resolved = resolveOptions(options)
    return new RedisCache(resolved, resolved.server === null ? null : await Connection.open(resolved))
  }

  /**
   * @returns `null` when there is no such key, or none any more
   * @throws {KestError} by rejecting, `ERR_KEST_CACHE`: Redis cannot be asked, does not answer within `timeoutMs`, refuses, or has what
   *   this cache does not write, or more than `maxValueBytes`
   */
  async get(key: string): Promise<string | null> {
    const { maxValueBytes } = this.#options
    // No more is read than could be right, whoever wrote it. What is compressed is no longer than by a few bytes.
    const most = maxValueBytes + (maxValueBytes >> 8) + 64
    const stored = await this.#ask(QUESTION_BYTES, (commands) => commands.getRange(key, 0, most))
    if (!Buffer.isBuffer(stored)) throw failed('GETRANGE was not answered by bytes')
    if (stored.length === 0) return null
    if (stored.length > most) throw failed(`what was read has more than ${maxValueBytes} bytes`)
    return unpack(stored, maxValueBytes)
  }

  /**
   * @param ttlMs milliseconds, a positive integer
   * @returns whether it was stored, and not there before
   * @throws {KestError} by rejecting, `ERR_KEST_CACHE`, as for {@link get}
   */
  async setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean> {
    if (!Number.isSafeInteger(ttlMs) || ttlMs < 1)
      throw new TypeError(`RedisCache: ttlMs: expected a positive integer, got ${ttlMs}`)
    const { maxValueBytes } = this.#options
    const bytes = Buffer.byteLength(value)
    if (bytes > maxValueBytes) throw failed(`a value of ${bytes} bytes; at most ${maxValueBytes} are stored`)
    const packed = pack(value)
    const answer = await this.#ask(QUESTION_BYTES + packed.length, (commands) =>
      commands.set(key, packed, { condition: 'NX', expiration: { type: 'PX', value: ttlMs } }),
    )
    if (answer === null) return false
    if (String(answer) === 'OK') return true
    throw failed('SET was answered by neither OK nor nothing')
  }

  /** Closes its own connection; what is under way fails. A `client` that was given stays open. Idempotent. */
  close(): void {
    this.#closed = true
    this.#connection?.close()
  }

  async #ask(bytes: number, question: (commands: RedisCommands) => Promise<unknown>): Promise<unknown> {
    const { timeoutMs, maxPendingBytes } = this.#options
    if (this.#closed) throw failed('it is closed')
    if (this.#pendingBytes + bytes > maxPendingBytes)
      throw failed(
        `${this.#pendingBytes} bytes are waiting for an answer (maxPendingBytes ${maxPendingBytes})`,
      )
    // Nothing waits: silence begins with this question.
    if (this.#pendingBytes === 0) this.#connection?.answered()
    this.#pendingBytes += bytes
    const commands = this.#foreign ?? (this.#connection as Connection).commands
    const answer = (async () => question(commands))().finally(() => {
      this.#pendingBytes -= bytes
    })
    return this.#inTime(answer, timeoutMs)
  }

  #inTime(answer: Promise<unknown>, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(failed(`no answer within ${timeoutMs} ms`))
        this.#connection?.late()
      }, timeoutMs)
      answer.then(
        (value) => {
          clearTimeout(timer)
          this.#connection?.answered()
          resolve(value)
        },
        (error: unknown) => {
          clearTimeout(timer)
          reject(failed('Redis could not be asked', this.#connection?.lost ?? error))
        },
      )
    })
  }
}

function failed(why: string, cause?: unknown): KestError {
  return new KestError('ERR_KEST_CACHE', `RedisCache: ${why}`, cause === undefined ? {} : { cause })
}
