import { AsyncResource } from 'node:async_hooks'
import { generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import { assertOptions } from '../assert-options.js'
import { ageClock, type Clock, systemClock } from '../clock.js'
import { KestConfigError, KestError } from '../errors.js'
import type { PublicJwk } from '../identity/jwk.js'
import { createKeyIdentity, type KeyIdentity } from '../identity/key-identity.js'
import type { IdentityProvider, Signer } from '../identity/provider.js'
import type { MaybePromise } from '../maybe-promise.js'
import { boundedLogger } from '../telemetry/bounded-logger.js'
import { type Logger, stderrLogger } from '../telemetry/logger.js'
import { OnceAWhile } from '../telemetry/once-a-while.js'
import { type HeldToken, readFirstToken, readToken, timeText } from './read-token.js'
import { tokenOfEnvironment } from './token-of-environment.js'
import { createTokenSource, type OIDCToken, type TokenSource } from './token-source.js'
import { principalOf, whyNot } from './vouching.js'

/** How an {@link OIDCIdentity} is made. Times are milliseconds. */
export interface OIDCIdentityOptions {
  /**
   * Where the token is. Default, as the environment says: the file in `KEST_OIDC_TOKEN_PATH`, with the `audienceFile` in
   * `KEST_OIDC_AUDIENCE_PATH`; else GitHub Actions, in a job with `permissions: { id-token: write }`.
   */
  readonly token?: OIDCToken
  /** Ed25519, P-256, P-384 or RSA. Default: an Ed25519 key made here, in memory, that ends with the process. */
  readonly privateKey?: KeyObject | JsonWebKey
  /** How often a file or variable is read; how long after a failure a token is asked for again. Default 10,000. */
  readonly pollMs?: number
  /** How long a function is waited for; at the start a sidecar, too. Default 10,000. */
  readonly timeoutMs?: number
  readonly logger?: Logger
  readonly clock?: Clock
}

const KNOWN: ReadonlySet<string> = new Set<keyof OIDCIdentityOptions>([
  'token',
  'privateKey',
  'pollMs',
  'timeoutMs',
  'logger',
  'clock',
])

/** Tokens that are held at once: around a renewal two, and one that is not in force yet. */
const MAX_HELD = 4
/** A token that holds for longer is asked for anew after this time. */
const MAX_WAIT_MS = 12 * 3_600_000
const MIN_WAIT_MS = 1000

type Settings = Required<Pick<OIDCIdentityOptions, 'pollMs' | 'clock' | 'logger'>>

/**
 * The identity of a workload that its platform gives tokens to (K-OIDCID): Kubernetes, GitHub Actions, GCP, or any other issuer
 * of OpenID Connect. The principal is `<iss>#<sub>`, and entries have both as the labels `kest.iss` and `kest.sub`.
 *
 * Entries are signed with a key of this process, and {@link getPublicJwk} has that key together with the tokens that vouch for
 * it, for `/.well-known/kest/jwks.json`; who verifies reads it with `createOIDCKeySource`. Only a token into which the issuer
 * signed this key is used, for any other would be good for whoever reads it there: `cnf.jkt`, or the sole audience
 * `urn:kest:key:<thumbprint>` ({@link keyAudience}).
 *
 * The token is followed: a file and a variable are read each `pollMs`, a function is asked when half of a token's life is over. A
 * token that cannot be read, vouches for another key or names another principal is not used, with a warning, and the one before
 * goes on until it ends. Without one that is in force nothing is signed (`ERR_KEST_IDENTITY`): whoever is to sign then has it looked
 * for once more, as after a process was suspended, and waits for that.
 *
 * Signatures of tokens are not checked here: who verifies entries does that. No token is in an error or a log of this class.
 *
 * @example
 * ```ts
 * const identity = await OIDCIdentity.create({ token: (audience) => requestToken(audience) })
 * configure({ identity, engine })
 * ```
 */
export class OIDCIdentity implements IdentityProvider {
  readonly #identity: KeyIdentity
  readonly #signer: Signer
  readonly #source: TokenSource
  readonly #settings: Settings
  readonly #untold = new OnceAWhile()
  readonly #follow: () => Promise<void>
  /** A clock that was set back must not hold it up. */
  readonly #ages: Clock
  #held: readonly HeldToken[]
  #failure: unknown
  #triedAt: number
  #flight: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  /**
   * Makes the key, has the token, and follows it from then on.
   *
   * @throws {KestConfigError} by rejecting, for options that are unknown or wrong.
   * @throws {KestError} `ERR_KEST_IDENTITY` when there is no token, when it has expired, or does not vouch for the key: with the
   *   reason, and what to do about it.
   */
  static async create(options: OIDCIdentityOptions = {}): Promise<OIDCIdentity> {
    assertOptions('OIDCIdentity', options, KNOWN)
    const {
      clock = systemClock,
      logger = stderrLogger,
      privateKey = generateKeyPairSync('ed25519').privateKey,
    } = options
    const pollMs = positive(options, 'pollMs', 10_000)
    const timeoutMs = positive(options, 'timeoutMs', 10_000)
    const source = createTokenSource(options.token ?? tokenOfEnvironment(timeoutMs), timeoutMs)
    const { kid } = createKeyIdentity('urn:kest:key', privateKey).getPublicJwk()
    const first = await readFirstToken(source, kid, { clock, pollMs, timeoutMs })
    const identity = createKeyIdentity(principalOf(first), privateKey)
    return new OIDCIdentity(identity, source, first, { pollMs, clock, logger })
  }

  private constructor(identity: KeyIdentity, source: TokenSource, first: HeldToken, settings: Settings) {
    this.#identity = identity
    this.#source = source
    this.#settings = { ...settings, logger: boundedLogger(settings.logger) }
    this.#held = [first]
    this.#ages = ageClock(settings.clock)
    this.#triedAt = this.#ages.now()
    const { iss, sub } = first
    this.#signer = Object.freeze({ ...identity.current(), subject: Object.freeze({ iss, sub }) })
    // What follows the token belongs to nobody's request.
    this.#follow = AsyncResource.bind(() => this.#readNext())
    this.#wait(this.#pauseAfter(first))
  }

  getWorkloadId(): string {
    return this.#identity.getWorkloadId()
  }

  /** @throws {KestError} `ERR_KEST_IDENTITY` while no token is in force, by rejecting when it was looked for in vain */
  current(): MaybePromise<Signer> {
    if (this.#inForce().length > 0) return this.#signer
    const { clock } = this.#settings
    const isDue = !this.#closed && this.#ages.now() - this.#triedAt >= MIN_WAIT_MS
    if (this.#flight === undefined && !isDue) throw this.#unvouched(clock.now())
    return this.#renew().then(() => {
      if (this.#inForce().length > 0) return this.#signer
      throw this.#unvouched(clock.now())
    })
  }

  /**
   * The public key, and in `vouched_by` the tokens for it that are in force, the latest last.
   * @throws {KestError} `ERR_KEST_IDENTITY` while there is none
   */
  getPublicJwk(): PublicJwk {
    const tokens = this.#inForce().map(({ token }) => token)
    if (tokens.length === 0) throw this.#unvouched(this.#settings.clock.now())
    return { ...this.#identity.getPublicJwk(), vouched_by: tokens }
  }

  /** Follows the token no longer. The one that is held goes on until it ends. Idempotent. */
  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #inForce(): readonly HeldToken[] {
    const now = this.#settings.clock.now()
    return this.#held.filter(({ from, until }) => from <= now && now < until)
  }

  #unvouched(now: number): KestError {
    const { from, until } = this.#held.at(-1) as HeldToken
    const when = now < from ? `is in force from ${timeText(from)}` : `ended at ${timeText(until)}`
    return new KestError(
      'ERR_KEST_IDENTITY',
      `no token vouches for the key now: ${this.#source.name} ${when}`,
      { cause: this.#failure },
    )
  }

  #wait(ms: number): void {
    clearTimeout(this.#timer)
    if (!this.#closed) this.#timer = setTimeout(() => void this.#renew(), ms).unref()
  }

  /** However the clock is set, it is asked for again within half of the time that it holds. */
  #pauseAfter({ from, until }: HeldToken): number {
    const { pollMs, clock } = this.#settings
    if (this.#source.issues !== 'now') return pollMs
    return Math.min(Math.max((until - Math.max(clock.now(), from)) / 2, MIN_WAIT_MS), MAX_WAIT_MS)
  }

  #renew(): Promise<void> {
    this.#flight ??= this.#follow().finally(() => {
      this.#flight = undefined
    })
    return this.#flight
  }

  /** Never rejects: what there was before goes on. */
  async #readNext(): Promise<void> {
    const { clock, pollMs, logger } = this.#settings
    let pause = pollMs
    try {
      const next = await readToken(this.#source, this.#identity.getPublicJwk().kid, clock)
      if (principalOf(next) !== this.getWorkloadId())
        throw new KestError('ERR_KEST_TOKEN', 'it names another principal than before: start anew for that')
      this.#held = withToken(this.#held, next, clock.now())
      this.#failure = undefined
      pause = this.#pauseAfter(next)
    } catch (error) {
      this.#failure = error
      const count = this.#untold.count()
      if (count > 0 && !this.#closed)
        logger.warn(
          { workload_id: this.getWorkloadId(), token: this.#source.name, err: whyNot(error), count },
          'the token could not be renewed: the one before goes on until it ends',
        )
    }
    this.#triedAt = this.#ages.now()
    this.#wait(pause)
  }
}

/**
 * What is not in force yet displaces none that is, nor, where none is, the one that will be first: by a clock that is behind the
 * issuer's each is issued in the future, and whoever is to sign has another asked for.
 */
function withToken(held: readonly HeldToken[], next: HeldToken, now: number): readonly HeldToken[] {
  if (held.some(({ token }) => token === next.token)) return held
  const all = [...held.filter(({ until }) => until > now), next]
  const first = all.findLast(({ from }) => from <= now) ?? all.reduce((a, b) => (b.from < a.from ? b : a))
  return all.filter((one, i) => one === first || i > all.length - MAX_HELD)
}

function positive(options: OIDCIdentityOptions, name: 'pollMs' | 'timeoutMs', fallback: number): number {
  const value = options[name] ?? fallback
  // Longer timers end at once.
  if (Number.isSafeInteger(value) && value >= 1 && value < 2 ** 31) return value
  throw new KestConfigError(
    `OIDCIdentity: ${name}: expected a positive integer below 2^31, got ${String(value)}`,
  )
}
