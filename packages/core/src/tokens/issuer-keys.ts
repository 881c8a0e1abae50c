import {
  createLocalJWKSet,
  type JSONWebKeySet,
  type JWK,
  type JWTVerifyGetKey,
  errors as joseErrors,
} from 'jose'
import { ageClock, type Clock } from '../clock.js'
import { KestError } from '../errors.js'
import { fetchJwks } from '../identity/fetch-jwks.js'
import type { Logger } from '../telemetry/logger.js'

/** What a JWKS may weigh; those of large providers have a few kilobytes. */
const MAX_JWKS_BYTES = 262_144
/** While there are no keys at all, asking again is what helps; but not for every request. */
const MAX_RETRY_MS = 2_000

/** What the signatures of tokens are checked with. */
export interface TokenKeys {
  /** Grows whenever a key that was there may be gone: what was verified under an earlier one is verified again. */
  readonly generation: number
  /**
   * Has the keys fetched if that is due.
   * @throws {KestError} `ERR_KEST_KEYS_UNAVAILABLE` while there are none
   */
  settle(): Promise<void> | undefined
  /** @throws {KestError} `ERR_KEST_KEYS_UNAVAILABLE` while there are none; jose's errors for a key that is not there */
  find(...asked: Parameters<JWTVerifyGetKey>): Promise<FoundKey>
}

/** A key, and under which generation it was one. */
export interface FoundKey {
  readonly key: Awaited<ReturnType<JWTVerifyGetKey>>
  readonly generation: number
}

/** How an {@link IssuerKeys} fetches and keeps them. Times are milliseconds. */
export interface IssuerKeysSettings {
  readonly fetch: typeof fetch
  readonly timeoutMs: number
  readonly cooldownMs: number
  readonly maxAgeMs: number
  readonly maxStaleMs: number
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * The keys that an issuer publishes, and when they were had.
 *
 * They are fetched on first use, and again when they are older than `maxAgeMs`. A token that names a key which is not among
 * them has them fetched once more, unless that was in vain within `cooldownMs`: so a rotation fails no request, and 1,000
 * tokens with made-up names cause one fetch. A made-up name just before a rotation that was not announced puts that off for
 * `cooldownMs`. Whoever comes while a fetch is under way waits for that one.
 *
 * When they cannot be fetched, the last ones serve until they are `maxStaleMs` old, and who comes while that is tried again
 * does not wait for it. Ages are told by a time that never goes
 * back. An issuer that answers without a key that could be used has none: its earlier ones are dropped.
 */
export class IssuerKeys implements TokenKeys {
  readonly #name: string
  readonly #locate: () => Promise<URL>
  readonly #settings: IssuerKeysSettings
  readonly #clock: Clock
  #generation = 0
  #keys: JWTVerifyGetKey | undefined
  /** The set as text, to tell whether it has changed. */
  #text = ''
  #fetchedAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #inVainAt = Number.NEGATIVE_INFINITY
  #fetches = 0
  #failure: unknown
  #flight: Promise<void> | undefined

  /**
   * @param name whose keys, for errors
   * @param locate where they are, asked before each fetch
   */
  constructor(name: string, locate: () => Promise<URL>, settings: IssuerKeysSettings) {
    this.#name = name
    this.#locate = locate
    this.#settings = settings
    this.#clock = ageClock(settings.clock)
  }

  get generation(): number {
    return this.#generation
  }

  settle(): Promise<void> | undefined {
    if (!this.#isDue()) {
      this.#present()
      return undefined
    }
    const flight = this.#fetch()
    if (this.#failure !== undefined && this.#areUsable()) return undefined
    return flight.then(() => void this.#present())
  }

  async find(...asked: Parameters<JWTVerifyGetKey>): Promise<FoundKey> {
    const seen = this.#fetches
    await this.settle()
    try {
      return await this.#select(asked)
    } catch (error) {
      if (!(error instanceof joseErrors.JWKSNoMatchingKey)) throw error
      if (this.#fetches === seen && !(await this.#fetchForUnknown())) throw error
    }
    const refetchedAt = this.#clock.now()
    try {
      const found = await this.#select(asked)
      this.#inVainAt = Number.NEGATIVE_INFINITY
      return found
    } catch (error) {
      this.#inVainAt = refetchedAt
      throw error
    }
  }

  async #select(asked: Parameters<JWTVerifyGetKey>): Promise<FoundKey> {
    const generation = this.#generation
    return { key: await this.#present()(...asked), generation }
  }

  /** Whether there was a fetch for a key that is not there. */
  async #fetchForUnknown(): Promise<boolean> {
    const now = this.#clock.now()
    if (this.#flight === undefined) {
      if (now - this.#inVainAt < this.#settings.cooldownMs) return false
      // Whoever comes before it is known whether it was in vain takes it for that.
      this.#inVainAt = now
    }
    await this.#fetch()
    return true
  }

  #isDue(): boolean {
    const { cooldownMs, maxAgeMs } = this.#settings
    const now = this.#clock.now()
    const age = now - this.#fetchedAt
    if (this.#keys !== undefined && age <= maxAgeMs) return false
    if (this.#flight !== undefined) return true
    const pause = this.#keys === undefined ? Math.min(cooldownMs, MAX_RETRY_MS) : cooldownMs
    return this.#failure === undefined || now - this.#triedAt >= pause
  }

  #areUsable(): boolean {
    return this.#keys !== undefined && this.#clock.now() - this.#fetchedAt <= this.#settings.maxStaleMs
  }

  #present(): JWTVerifyGetKey {
    if (this.#keys !== undefined && this.#areUsable()) return this.#keys
    throw new KestError('ERR_KEST_KEYS_UNAVAILABLE', `no usable JWKS from ${this.#name}`, {
      cause: this.#failure,
    })
  }

  #fetch(): Promise<void> {
    this.#flight ??= this.#refetch().finally(() => {
      this.#flight = undefined
    })
    return this.#flight
  }

  /** Never rejects: what there is afterwards decides. */
  async #refetch(): Promise<void> {
    const { fetch, timeoutMs, logger } = this.#settings
    const triedAt = this.#clock.now()
    this.#triedAt = triedAt
    try {
      const bounds = { fetch, timeoutMs, maxBytes: MAX_JWKS_BYTES }
      this.#accept(await fetchJwks(await this.#locate(), bounds))
      this.#fetchedAt = triedAt
      this.#failure = undefined
    } catch (error) {
      this.#failure = error
      // Without keys the request is refused, and that is told.
      if (this.#keys !== undefined)
        logger.warn(
          { issuer: this.#name, err: String(error) },
          'the keys of an issuer could not be refreshed: those that there are go on',
        )
    } finally {
      this.#fetches++
    }
  }

  #accept(jwks: readonly unknown[]): void {
    const keys = jwks.filter(isUsable)
    const text = JSON.stringify(keys)
    if (text !== this.#text) {
      this.#text = text
      this.#generation++
      this.#keys = keys.length === 0 ? undefined : createLocalJWKSet({ keys } as JSONWebKeySet)
    }
    if (keys.length === 0)
      throw new KestError(
        'ERR_KEST_KEYS_UNAVAILABLE',
        `the JWKS of ${this.#name} has no key that can be used`,
      )
  }
}

/** Keys of other kinds and uses are passed over, whatever they are (RFC 7517 §5). */
function isUsable(jwk: unknown): jwk is JWK {
  if (typeof jwk !== 'object' || jwk === null) return false
  const { kty, use } = jwk as JWK
  if (!PUBLIC_KINDS.has(kty) || (use !== undefined && use !== 'sig')) return false
  return !('d' in jwk || 'k' in jwk)
}

const PUBLIC_KINDS: ReadonlySet<unknown> = new Set(['OKP', 'EC', 'RSA'])
