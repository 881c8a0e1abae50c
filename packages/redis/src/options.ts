import type { ConnectionOptions } from 'node:tls'
import { assertOptions, KestConfigError } from '@kest/core'
import type { RedisClientLike } from './client.js'

/** Which Redis, and how much of it. Either `url` or `client`. */
export interface RedisCacheOptions {
  /**
   * `redis://` or, with TLS, `rediss://`, as `[user:password@]host[:port][/database]`. The connection is this cache's own, and made
   * again when it is lost.
   */
  readonly url?: string | undefined
  /** Whom to trust, and who this is, with `rediss://`: as `node:tls` takes them. */
  readonly tls?: Pick<ConnectionOptions, 'ca' | 'cert' | 'key' | 'servername' | 'minVersion'> | undefined
  /**
   * A connected client of `redis` or `@redis/client` in place of `url`: of a cluster, or of Sentinel. It is not closed with the cache.
   * With `disableOfflineQueue: true` what cannot be asked is said at once.
   */
  readonly client?: RedisClientLike | undefined
  /** How long one answer may take, milliseconds. Default 250. */
  readonly timeoutMs?: number | undefined
  /** How long the first connection may take, milliseconds, with `url`. Default 5,000. */
  readonly connectTimeoutMs?: number | undefined
  /** Bytes of one value, before it is compressed and after it was inflated. Default 1,048,576. */
  readonly maxValueBytes?: number | undefined
  /** Bytes of what Redis has not answered yet, together; more is refused at once. Default 67,108,864. */
  readonly maxPendingBytes?: number | undefined
}

/** Options as they hold. */
export interface ResolvedRedisOptions {
  readonly server: { readonly url: URL; readonly tls: RedisCacheOptions['tls'] } | null
  readonly client: RedisClientLike | null
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
  readonly maxValueBytes: number
  readonly maxPendingBytes: number
}

const WHERE = 'RedisCache'
const KNOWN = ['url', 'tls', 'client', 'timeoutMs', 'connectTimeoutMs', 'maxValueBytes', 'maxPendingBytes']
/** Longer than a timer can wait. */
const LONGEST_MS = 0x7fffffff

/** @throws {KestConfigError} for options that are unknown or wrong; no message has what an URL may hold */
export function resolveOptions(options: RedisCacheOptions): ResolvedRedisOptions {
  assertOptions(WHERE, options, KNOWN)
  const { url, tls, client } = options
  if ((url === undefined) === (client === undefined))
    throw new KestConfigError(`${WHERE}: expected either a url or a client`)
  if (tls !== undefined && !(typeof url === 'string' && url.startsWith('rediss:')))
    throw new KestConfigError(`${WHERE}.tls: means nothing without a url of rediss://`)
  if (client !== undefined && typeof client?.withTypeMapping !== 'function')
    throw new KestConfigError(`${WHERE}.client: expected a client of redis 5 or later`)
  return {
    server: url === undefined ? null : { url: toUrl(url), tls },
    client: client ?? null,
    timeoutMs: toInteger('timeoutMs', options.timeoutMs ?? 250, LONGEST_MS),
    connectTimeoutMs: toInteger('connectTimeoutMs', options.connectTimeoutMs ?? 5_000, LONGEST_MS),
    maxValueBytes: toInteger('maxValueBytes', options.maxValueBytes ?? 1_048_576),
    maxPendingBytes: toInteger('maxPendingBytes', options.maxPendingBytes ?? 67_108_864),
  }
}

function toUrl(text: unknown): URL {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : null
  if (url !== null && /^rediss?:$/.test(url.protocol) && url.hostname !== '') return url
  throw new KestConfigError(`${WHERE}.url: expected redis:// or rediss:// and a host`)
}

function toInteger(name: string, value: unknown, max = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= max)
    return value as number
  throw new KestConfigError(`${WHERE}.${name}: expected a positive integer, got ${String(value)}`)
}
