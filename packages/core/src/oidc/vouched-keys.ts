import { AsyncResource } from 'node:async_hooks'
import { decodeJwt } from 'jose'
import { ageClock, type Clock } from '../clock.js'
import { KestError } from '../errors.js'
import { fetchJwks } from '../identity/fetch-jwks.js'
import { thumbprint, toVerificationKey } from '../identity/jwk.js'
import type { VerificationKey } from '../identity/key-source.js'
import type { Limits } from '../limits.js'
import type { MaybePromise } from '../maybe-promise.js'
import { shown } from '../shown.js'
import { boundedLogger } from '../telemetry/bounded-logger.js'
import type { Logger } from '../telemetry/logger.js'
import { OnceAWhile } from '../telemetry/once-a-while.js'
import type { VerifyJwt } from '../tokens/verify-jwt.js'
import { MAX_TOKEN_BYTES, principalOf, type Vouching, vouchingOf, whyNot } from './vouching.js'

/** Keys of one JWK Set that are looked at, and tokens of each. */
const MAX_KEYS = 64
const MAX_TOKENS = 4
/** How often a principal's URLs are asked in vain within `cooldownMs`. */
const MAX_IN_VAIN = 8
/** Tokens that are remembered for one principal: what a whole set has. */
const MAX_HELD = MAX_KEYS * MAX_TOKENS

/** How the keys of principals are had. Times are milliseconds. */
export interface VouchedKeysSettings {
  readonly maxAgeMs: number
  readonly cooldownMs: number
  readonly keepMs: number
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly limits: Limits
  readonly fetch: typeof fetch
  readonly logger: Logger
  readonly clock: Clock
  /** Told when a key that was there is gone. */
  readonly onGone: () => void
}

/** A key, and a token that was verified to vouch for it. */
interface HeldKey extends Vouching {
  readonly kid: string
  readonly token: string
  readonly keys: readonly VerificationKey[]
  /** As ages are told. */
  readonly forgetAt: number
}

/**
 * The keys of one principal: those for which the issuer's token vouches, each from when until when its token holds. Where they
 * are published needs no trust: whatever is served there counts by its token alone.
 *
 * Keys add up, so that replicas behind one URL know nothing of each other; each is forgotten `keepMs` after its token's end,
 * by a time that never goes back, and earlier when the issuer no longer stands by the token. A key that is not there has the
 * URLs asked, unless that was in vain within `cooldownMs`, or was so for eight others; whoever comes while they are being asked
 * waits for that.
 */
export class VouchedKeys {
  readonly #principal: string
  readonly #urls: readonly URL[]
  readonly #verify: VerifyJwt
  readonly #settings: VouchedKeysSettings
  readonly #ages: Clock
  readonly #stale = new OnceAWhile()
  readonly #unused = new OnceAWhile()
  readonly #ask: () => Promise<void>
  /** By token. */
  readonly #held = new Map<string, HeldKey>()
  #triedAt = Number.NEGATIVE_INFINITY
  #freshAt = Number.NEGATIVE_INFINITY
  /** Thumbprints that were sought in vain, and when. */
  readonly #inVain = new Map<string, number>()
  /** Why nothing can be said of keys that are not there. */
  #failure: unknown
  #flight: Promise<void> | undefined

  constructor(principal: string, urls: readonly URL[], verify: VerifyJwt, settings: VouchedKeysSettings) {
    this.#principal = principal
    this.#urls = urls
    this.#verify = verify
    this.#settings = { ...settings, logger: boundedLogger(settings.logger) }
    this.#ages = ageClock(settings.clock)
    // Several wait for one answer: it is asked for in nobody's request.
    this.#ask = AsyncResource.bind(() => this.#askAll())
  }

  /**
   * The key with this thumbprint, if a token vouches for it at `time`.
   * @throws {KestError} by rejecting, or at once: `ERR_KEST_KEY_UNKNOWN`; `ERR_KEST_KEYS_UNAVAILABLE` when it may be that there is one
   */
  keys(kid: string | undefined, time: number): MaybePromise<readonly VerificationKey[]> {
    if (kid === undefined) throw this.#unknown('the header names no key (kid)')
    this.#forget()
    const now = this.#ages.now()
    const { maxAgeMs, cooldownMs } = this.#settings
    const found = this.#find(kid, time)
    if (found !== undefined) {
      // Nobody waits for it: what is here was proven, and for as long.
      if (now - this.#freshAt > maxAgeMs && now - this.#triedAt >= cooldownMs) void this.#refresh()
      return found
    }
    if (this.#flight === undefined && !this.#maySeek(kid, now - cooldownMs)) throw this.#missing(kid)
    return this.#seek(kid, time)
  }

  async #seek(kid: string, time: number): Promise<readonly VerificationKey[]> {
    await this.#refresh()
    const found = this.#find(kid, time)
    if (found !== undefined) return found
    if (this.#inVain.size < MAX_IN_VAIN) this.#inVain.set(kid, this.#ages.now())
    throw this.#missing(kid)
  }

  /** One that is sought again and again, as another sender's is for a hop token, does not hide a new one. */
  #maySeek(kid: string, since: number): boolean {
    for (const [sought, at] of this.#inVain) if (at <= since) this.#inVain.delete(sought)
    return !this.#inVain.has(kid) && this.#inVain.size < MAX_IN_VAIN
  }

  #find(kid: string, time: number): readonly VerificationKey[] | undefined {
    for (const held of this.#held.values())
      if (held.kid === kid && held.from <= time && time < held.until) return held.keys
    return undefined
  }

  #refresh(): Promise<void> {
    this.#flight ??= this.#ask().finally(() => {
      this.#flight = undefined
    })
    return this.#flight
  }

  /** Never rejects: what there is afterwards decides. */
  async #askAll(): Promise<void> {
    const triedAt = this.#ages.now()
    this.#triedAt = triedAt
    const doubts: unknown[] = []
    await this.#confirm()
    const sets = await Promise.allSettled(this.#urls.map((url) => fetchJwks(url, this.#settings)))
    for (const [i, set] of sets.entries()) {
      if (set.status === 'rejected') doubts.push(set.reason)
      else doubts.push(...(await this.#take(this.#urls[i] as URL, set.value)))
    }
    this.#failure = doubts[0]
    if (doubts.length === 0) this.#freshAt = triedAt
    else if (this.#stale.count() > 0)
      this.#settings.logger.warn(
        { principal: this.#principal, err: whyNot(doubts[0]) },
        'keys that tokens vouch for could not be refreshed: those that there are go on until their tokens end',
      )
  }

  /** An issuer may have withdrawn the key that it signed a token with. While it cannot be asked, the token goes on. */
  async #confirm(): Promise<void> {
    for (const held of [...this.#held.values()]) {
      if (held.until <= this.#settings.clock.now()) continue
      try {
        await this.#verify(held.token)
      } catch (error) {
        if (isDoubt(error)) return
        this.#drop(held)
      }
    }
  }

  /** @returns why something can be said of no more keys than of those that are there */
  async #take(url: URL, jwks: readonly unknown[]): Promise<readonly unknown[]> {
    const doubts: unknown[] = []
    const refused: unknown[] = []
    for (const jwk of jwks.slice(0, MAX_KEYS)) {
      try {
        await this.#takeKey(jwk)
      } catch (error) {
        ;(isDoubt(error) ? doubts : refused).push(error)
      }
    }
    const unread = Math.max(jwks.length - MAX_KEYS, 0)
    if (unread > 0) doubts.push(unreadAt(url, unread))
    if ((refused.length > 0 || unread > 0) && this.#unused.count() > 0)
      this.#settings.logger.warn(
        {
          principal: this.#principal,
          url: url.origin + url.pathname,
          count: refused.length,
          unread,
          err: refused.length === 0 ? undefined : whyNot(refused[0]),
        },
        'published keys are not used',
      )
    return doubts
  }

  /** What costs nothing is checked first: only a token of this principal for this key has its signature computed. */
  async #takeKey(jwk: unknown): Promise<void> {
    const tokens = tokensOf(jwk)
    const fresh = tokens.filter((token) => !this.#held.has(token))
    if (tokens.length > 0 && fresh.length === 0) return
    const key = toVerificationKey(jwk, this.#settings.limits)
    const kid = thumbprint(key.key)
    if (fresh.length === 0) throw unvouched('no token stands beside it')
    let failure: unknown
    let used = 0
    for (const token of fresh) {
      try {
        await this.#takeToken(token, { ...key, kid })
        used++
      } catch (error) {
        failure = isDoubt(failure) ? failure : error
      }
    }
    if (failure !== undefined && (used === 0 || isDoubt(failure))) throw failure
  }

  async #takeToken(token: string, key: VerificationKey & { readonly kid: string }): Promise<void> {
    // Several principals may share a URL.
    if (!this.#isOwn(vouchingOf(claimsOf(token), key.kid))) return
    const { payload } = await this.#verify(token)
    const vouching = vouchingOf(payload, key.kid)
    if (!this.#isOwn(vouching)) return
    const { clock, keepMs } = this.#settings
    const forgetAt = this.#ages.now() + vouching.until - clock.now() + keepMs
    if (this.#held.size >= MAX_HELD) this.#drop(this.#firstToEnd())
    this.#held.set(
      token,
      Object.freeze({
        ...vouching,
        kid: key.kid,
        token,
        keys: Object.freeze([Object.freeze(key)]),
        forgetAt,
      }),
    )
  }

  #isOwn(vouching: Vouching): boolean {
    return principalOf(vouching) === this.#principal
  }

  #firstToEnd(): HeldKey {
    return [...this.#held.values()].reduce((first, held) => (held.until < first.until ? held : first))
  }

  #forget(): void {
    const now = this.#ages.now()
    for (const held of this.#held.values()) if (held.forgetAt <= now) this.#drop(held)
  }

  #drop(held: HeldKey): void {
    this.#held.delete(held.token)
    this.#settings.onGone()
  }

  #missing(kid: string): KestError {
    if (this.#failure === undefined)
      return this.#unknown(`no token vouches for ${shown(kid, 60)} at that time`)
    return new KestError(
      'ERR_KEST_KEYS_UNAVAILABLE',
      `it cannot be said whether ${shown(kid, 60)} is a key of ${shown(this.#principal)}`,
      { cause: this.#failure },
    )
  }

  #unknown(why: string): KestError {
    return new KestError('ERR_KEST_KEY_UNKNOWN', `no key is known for ${shown(this.#principal)}: ${why}`)
  }
}

/** `vouched_by` of a published key. */
function tokensOf(jwk: unknown): readonly string[] {
  const tokens = (jwk as { readonly vouched_by?: unknown } | null | undefined)?.vouched_by
  if (tokens === undefined) return []
  if (!Array.isArray(tokens) || tokens.length > MAX_TOKENS || !tokens.every(isTokenText))
    throw unvouched(`its vouched_by is no list of up to ${MAX_TOKENS} tokens`)
  return tokens
}

function isTokenText(token: unknown): boolean {
  return typeof token === 'string' && token !== '' && token.length <= MAX_TOKEN_BYTES
}

function claimsOf(token: string): ReturnType<typeof decodeJwt> {
  try {
    return decodeJwt(token)
  } catch {
    throw unvouched('what stands beside it is no token')
  }
}

/** Whether something could not be said, rather than was refused. */
function isDoubt(error: unknown): boolean {
  return error instanceof KestError && error.code === 'ERR_KEST_KEYS_UNAVAILABLE'
}

/** A key that is sought may be one that nobody looked at. */
function unreadAt(url: URL, unread: number): KestError {
  return new KestError(
    'ERR_KEST_KEYS_UNAVAILABLE',
    `at ${url.origin}${url.pathname} are more than ${MAX_KEYS} keys: ${unread} were not looked at`,
  )
}

function unvouched(why: string): KestError {
  return new KestError('ERR_KEST_TOKEN', `a key: ${why}`)
}
