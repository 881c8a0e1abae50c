import { types } from 'node:util'
import { assertOptions } from '../assert-options.js'
import { ageClock, type Clock, systemClock } from '../clock.js'
import { KestConfigError, KestError } from '../errors.js'
import { type Limits, resolveLimits } from '../limits.js'
import type { MaybePromise } from '../maybe-promise.js'
import { positiveIntegers } from '../positive-integers.js'
import { type Logger, stderrLogger } from '../telemetry/logger.js'
import { type FetchJwksOptions, fetchJwks } from './fetch-jwks.js'
import { toVerificationKey } from './jwk.js'
import type { KeyQuery, KeySource, VerificationKey } from './key-source.js'
import { MAX_KEYS_PER_PRINCIPAL } from './keys.js'
import { publishedKeysUrl } from './published-keys.js'

/** How a {@link createRemoteKeySource} fetches and keeps keys. Times are milliseconds. */
export interface RemoteKeyOptions {
  /** As results and errors call it. Default `jwks`. */
  readonly name?: string
  /** How long keys are used without asking again. Default 600,000. */
  readonly maxAgeMs?: number
  /** How long keys are used, counted from when they were fetched, while asking again fails. Default 86,400,000; not less than `maxAgeMs`. */
  readonly maxStaleMs?: number
  /**
   * The least time between two requests for one principal's keys, also for an unknown `kid`. Default 60,000; not more than
   * `maxAgeMs`.
   */
  readonly minRefreshMs?: number
  /** The least time between two requests when no keys could be had yet. Default 2,000. */
  readonly retryMs?: number
  /** Of one request, body included. Default 5,000. */
  readonly timeoutMs?: number
  /** Of one body. Default 65,536. */
  readonly maxBytes?: number
  readonly limits?: Partial<Limits>
  /** Default: the global one. */
  readonly fetch?: typeof fetch
  readonly logger?: Logger
  /** What ages are told by. Setting it back makes no key younger. Default: the system's. */
  readonly clock?: Clock
}

const KNOWN: ReadonlySet<string> = new Set<keyof RemoteKeyOptions>([
  'name',
  'maxAgeMs',
  'maxStaleMs',
  'minRefreshMs',
  'retryMs',
  'timeoutMs',
  'maxBytes',
  'limits',
  'fetch',
  'logger',
  'clock',
])

const DEFAULTS = {
  maxAgeMs: 600_000,
  maxStaleMs: 86_400_000,
  minRefreshMs: 60_000,
  retryMs: 2_000,
  timeoutMs: 5_000,
  maxBytes: 65_536,
} as const

const NONE: readonly VerificationKey[] = Object.freeze([])

/**
 * A key source of JWK Sets that principals publish. The operator says at which URL each principal does (K-PRINCIPAL):
 * keys served there speak for that principal and for no other, and nothing in an entry names a URL.
 *
 * A set is fetched when its principal is first met, and again when it is older than `maxAgeMs` or a header names a
 * `kid` that it lacks, but not more often than `minRefreshMs`; several that wait share one request. When fetching fails,
 * the last keys serve until they are `maxStaleMs` old, with a warning, and nobody who asks for one of them waits while it is
 * tried again; then nothing can be said.
 *
 * @param urls principal → https URL; http only to a loopback address. Own members of an object, or a `Map`.
 * @throws {KestConfigError} for another URL, for options that are unknown, wrong, or contradict each other. `find` rejects with `ERR_KEST_KEYS_UNAVAILABLE`.
 *
 * @example
 * ```ts
 * const trust = createRemoteKeySource({
 *   'spiffe://example.org/hop1': 'https://hop1.example.org/.well-known/kest/jwks.json',
 * })
 * ```
 */
export function createRemoteKeySource(
  urls: Readonly<Record<string, string | URL>> | ReadonlyMap<string, string | URL>,
  options: RemoteKeyOptions = {},
): KeySource {
  return new RemoteKeySource(urls, options)
}

type Times = { readonly [Name in keyof typeof DEFAULTS]: number }

class RemoteKeySource implements KeySource {
  readonly name: string
  readonly kind = 'keys'
  readonly #publishers = new Map<string, Publisher>()
  #generation = 0

  constructor(
    urls: Readonly<Record<string, string | URL>> | ReadonlyMap<string, string | URL>,
    options: RemoteKeyOptions,
  ) {
    assertOptions('createRemoteKeySource', options, KNOWN)
    if (typeof urls !== 'object' || urls === null || Array.isArray(urls)) {
      throw new KestConfigError(
        'createRemoteKeySource: expected principals with the URL of their keys: { "spiffe://…": "https://…" }',
      )
    }
    if (options.fetch !== undefined && typeof options.fetch !== 'function')
      throw new KestConfigError('createRemoteKeySource: fetch: expected a function')
    this.name = options.name ?? 'jwks'
    const settings: PublisherSettings = {
      ...timesOf(options),
      limits: resolveLimits(options.limits),
      fetch: options.fetch ?? ((...args) => fetch(...args)),
      logger: options.logger ?? stderrLogger,
      clock: ageClock(options.clock ?? systemClock),
      onChange: () => {
        this.#generation++
      },
    }
    for (const [principal, url] of types.isMap(urls) ? urls : Object.entries(urls)) {
      this.#publishers.set(
        principal,
        new Publisher(principal, publishedKeysUrl(url, `keys of ${JSON.stringify(principal)}`), settings),
      )
    }
  }

  get generation(): number {
    return this.#generation
  }

  knows(principal: string): boolean {
    return this.#publishers.has(principal)
  }

  find({ principal, header }: KeyQuery): MaybePromise<readonly VerificationKey[]> {
    return this.#publishers.get(principal)?.keys(header.kid) ?? NONE
  }
}

interface PublisherSettings extends Times, FetchJwksOptions {
  readonly limits: Limits
  readonly logger: Logger
  readonly clock: Clock
  readonly onChange: () => void
}

/** One principal's keys, and when they were had. */
class Publisher {
  readonly #principal: string
  readonly #url: URL
  readonly #settings: PublisherSettings
  #keys: readonly VerificationKey[] | undefined
  #fetchedAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #failure: unknown
  #flight: Promise<void> | undefined

  constructor(principal: string, url: URL, settings: PublisherSettings) {
    this.#principal = principal
    this.#url = url
    this.#settings = settings
  }

  keys(kid: string | undefined): MaybePromise<readonly VerificationKey[]> {
    if (!this.#isDue(kid)) return this.#present()
    this.#flight ??= this.#refresh()
    if (this.#failure !== undefined && this.#areUsable() && !this.#lacks(kid)) return this.#present()
    return this.#flight.then(() => this.#present())
  }

  #isDue(kid: string | undefined): boolean {
    const { clock, maxAgeMs, minRefreshMs, retryMs } = this.#settings
    const now = clock.now()
    if (this.#keys === undefined) return this.#flight !== undefined || now - this.#triedAt >= retryMs
    const wanted = now - this.#fetchedAt > maxAgeMs || this.#lacks(kid)
    return wanted && (this.#flight !== undefined || now - this.#triedAt >= minRefreshMs)
  }

  #lacks(kid: string | undefined): boolean {
    return kid !== undefined && this.#keys?.some((key) => key.kid === kid) !== true
  }

  #areUsable(): boolean {
    const { clock, maxStaleMs } = this.#settings
    return this.#keys !== undefined && clock.now() - this.#fetchedAt <= maxStaleMs
  }

  #present(): readonly VerificationKey[] {
    if (this.#keys !== undefined && this.#areUsable()) return this.#keys
    throw new KestError(
      'ERR_KEST_KEYS_UNAVAILABLE',
      `the keys of ${JSON.stringify(this.#principal)} cannot be had from ${this.#url.href}`,
      { cause: this.#failure },
    )
  }

  /** Never rejects: what there is afterwards decides. */
  async #refresh(): Promise<void> {
    const { clock, logger } = this.#settings
    this.#triedAt = clock.now()
    try {
      this.#accept(await fetchJwks(this.#url, this.#settings))
      this.#fetchedAt = this.#triedAt
      this.#failure = undefined
    } catch (error) {
      this.#failure = error
      logger.warn(
        { principal: this.#principal, url: this.#url.href, err: String(error) },
        'keys could not be refreshed',
      )
    } finally {
      this.#flight = undefined
    }
  }

  /** Keys of kinds that we do not know are passed over (RFC 7517 §5), and said. */
  #accept(jwks: readonly unknown[]): void {
    const { limits, logger, onChange } = this.#settings
    const keys: VerificationKey[] = []
    for (const jwk of jwks.slice(0, MAX_KEYS_PER_PRINCIPAL)) {
      try {
        keys.push(toVerificationKey(jwk, limits))
      } catch (error) {
        logger.warn(
          { principal: this.#principal, url: this.#url.href, err: String(error) },
          'a key is not used',
        )
      }
    }
    if (jwks.length > MAX_KEYS_PER_PRINCIPAL) {
      logger.warn(
        { principal: this.#principal, url: this.#url.href, count: jwks.length, used: MAX_KEYS_PER_PRINCIPAL },
        'too many keys: the rest is not used',
      )
    }
    if (keys.length === 0)
      throw new KestError('ERR_KEST_KEYS_UNAVAILABLE', `no usable key at ${this.#url.href}`)
    const changed = this.#keys === undefined || !sameKeys(this.#keys, keys)
    this.#keys = Object.freeze(keys)
    if (changed) onChange()
  }
}

function sameKeys(before: readonly VerificationKey[], after: readonly VerificationKey[]): boolean {
  return (
    before.length === after.length &&
    before.every((key, i) => {
      const other = after[i] as VerificationKey
      return (
        key.kid === other.kid &&
        key.key.equals(other.key) &&
        key.algorithms.join() === other.algorithms.join()
      )
    })
  )
}

function timesOf(options: RemoteKeyOptions): Times {
  const times = positiveIntegers('remote keys', DEFAULTS, options)
  // What was not given follows what was.
  if (options.maxStaleMs === undefined) times.maxStaleMs = Math.max(times.maxStaleMs, times.maxAgeMs)
  if (options.minRefreshMs === undefined) times.minRefreshMs = Math.min(times.minRefreshMs, times.maxAgeMs)
  assertNotLonger(times, 'maxAgeMs', 'maxStaleMs')
  assertNotLonger(times, 'minRefreshMs', 'maxAgeMs')
  return times
}

function assertNotLonger(times: Times, shorter: keyof Times, longer: keyof Times): void {
  if (times[shorter] <= times[longer]) return
  throw new KestConfigError(
    `remote keys: ${shorter} (${times[shorter]}) is longer than ${longer} (${times[longer]}): it would never count`,
  )
}
