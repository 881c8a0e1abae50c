import type { X509BundleSource } from '../bundle/bundle-source.js'
import type { X509Bundle } from '../bundle/x509-bundle.js'
import { LONGEST_TIMER_MS } from '../duration.js'
import { SpiffeError } from '../errors.js'
import type { X509Svid } from '../svid/x509-svid.js'
import { verifyX509Chain } from '../verification/verify-chain.js'
import type { Stop } from '../workload-api/watch.js'
import type { X509State } from '../workload-api/x509-state.js'
import { sameBundles } from './bundle-map.js'
import { clientOf, type SourceOptions } from './client-of.js'
import { Followed, type SourceStatus } from './followed.js'

/** How an {@link X509Source} is made. */
export type X509SourceOptions = SourceOptions & {
  /**
   * Which of several identities this is; by their `hint`, or their ID. Asked at every update. `undefined` for none of them.
   * Default: the first, which the standard calls the default identity.
   */
  readonly pick?: (svids: readonly X509Svid[]) => X509Svid | undefined
}

interface State {
  readonly svids: readonly X509Svid[]
  readonly picked: X509Svid | undefined
  /** The one before of the same identity, where the picked one was not valid yet when it came. */
  readonly predecessor: X509Svid | undefined
  readonly bundles: ReadonlyMap<string, X509Bundle>
  readonly problems: readonly SpiffeError[]
}

/**
 * This workload's X.509 identity and the bundles to verify others with, as the Workload API has them now.
 *
 * Every message takes the place of everything that it said before: what it lacks is withdrawn, and so is what of it
 * cannot be read (see `status().problems`). When the connection breaks off, what is known serves on for `maxStaleMs`, and
 * `status()` says so. An SVID that is not valid now is never given out: while a fresh one is not valid yet, because the
 * clock here is slow, its predecessor serves on, as long as that is valid and its authority is not withdrawn.
 *
 * @example
 * ```ts
 * const source = await X509Source.connect()                    // SPIFFE_ENDPOINT_SOCKET
 * const { id, certificates, privateKey } = source.current()
 * const stop = source.subscribe(() => reload(source.current()))
 * source.close()
 * ```
 */
export class X509Source implements X509BundleSource {
  readonly #followed: Followed<State>
  readonly #done: () => void
  readonly #pick: NonNullable<X509SourceOptions['pick']>
  #generation = 0
  #bundles: ReadonlyMap<string, X509Bundle> | undefined
  #untilValid: NodeJS.Timeout | undefined

  private constructor(options: X509SourceOptions, done: () => void) {
    this.#followed = new Followed<State>('X.509 source', options)
    this.#done = done
    this.#pick = options.pick ?? ((svids) => svids[0])
  }

  /**
   * Connects, and waits until there is an identity.
   *
   * @throws {SpiffeError} `ERR_SPIFFE_ADDRESS`, `ERR_SPIFFE_CONFIG`, `ERR_SPIFFE_REFUSED`, `ERR_SPIFFE_ABORTED`;
   *   `ERR_SPIFFE_TIMEOUT`, whose cause says what was in the way (no agent: `ERR_SPIFFE_UNAVAILABLE`; not registered:
   *   `ERR_SPIFFE_DENIED`; none that `pick` takes: `ERR_SPIFFE_NO_SVID`)
   */
  static async connect(options: X509SourceOptions = {}): Promise<X509Source> {
    const { client, done } = clientOf('X509Source', options, ['pick'])
    try {
      const source = new X509Source(options, done)
      const followed = source.#followed
      // Before all other listeners, so that these find the generation as it is.
      followed.subscribe(() => source.#compareBundles())
      await followed.start<X509State>(
        (watcher) => client.watchX509(watcher),
        (update, before) => source.#accept(update, before),
        (state) => (state.picked === undefined ? noSvid(state) : undefined),
        options,
      )
      return source
    } catch (error) {
      done()
      throw error
    }
  }

  /**
   * The identity now. The same object until it changes.
   *
   * @throws {SpiffeError} `ERR_SPIFFE_NO_SVID`, `ERR_SPIFFE_DENIED` when it was withdrawn, `ERR_SPIFFE_EXPIRED`,
   *   `ERR_SPIFFE_STALE`, `ERR_SPIFFE_CLOSED`
   */
  current(): X509Svid {
    const state = this.#followed.get()
    const { picked, predecessor } = state
    if (picked === undefined) throw noSvid(state)
    const now = this.#followed.now()
    if (isValidAt(picked, now)) return picked
    if (predecessor !== undefined && now < picked.notBefore && isValidAt(predecessor, now)) return predecessor
    throw new SpiffeError(
      'ERR_SPIFFE_EXPIRED',
      `X.509-SVID ${picked.id}: valid from ${iso(picked.notBefore)} to ${iso(picked.notAfter)}, it is ${iso(now)}`,
      { cause: this.status().error },
    )
  }

  /**
   * All identities of this workload, in the order of the Workload API, valid now or not.
   * @throws {SpiffeError} `ERR_SPIFFE_DENIED`, `ERR_SPIFFE_STALE`, `ERR_SPIFFE_CLOSED`
   */
  svids(): readonly X509Svid[] {
    return this.#followed.get().svids
  }

  get generation(): number {
    return this.#generation
  }

  getX509Bundle(trustDomain: string): X509Bundle | undefined {
    return this.#followed.get().bundles.get(trustDomain)
  }

  /** Names of the trust domains whose bundles are here. @throws as {@link X509Source.svids} */
  trustDomains(): readonly string[] {
    return [...this.#followed.get().bundles.keys()]
  }

  /** How it is doing. Never throws. */
  status(): SourceStatus {
    return this.#followed.status(this.#followed.peek()?.problems ?? [])
  }

  /** Calls back after every update, and when the connection broke off: look at `current()` and `status()`. */
  subscribe(listener: () => void): Stop {
    return this.#followed.subscribe(listener)
  }

  /** Stops following; closes the client if it made it. Idempotent. */
  close(): void {
    if (this.#followed.closed) return
    this.#followed.close()
    clearTimeout(this.#untilValid)
    this.#generation++
    this.#done()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #accept(update: X509State, before: State | undefined): State {
    const svids = update.svids.map((svid) => before?.svids.find((other) => sameSvid(other, svid)) ?? svid)
    for (const { part, error } of update.problems) {
      this.#followed.logger.error(
        { part, code: error.code, err: error.message },
        'a part of an update is not used',
      )
    }
    const picked = this.#choose(svids)
    return {
      svids: Object.freeze(svids),
      picked,
      predecessor: this.#predecessorOf(picked, update.bundles, before),
      bundles: update.bundles,
      problems: Object.freeze(update.problems.map(({ error }) => error)),
    }
  }

  /** Whoever subscribed is called back again when the fresh one is valid. */
  #predecessorOf(
    picked: X509Svid | undefined,
    bundles: State['bundles'],
    before: State | undefined,
  ): X509Svid | undefined {
    clearTimeout(this.#untilValid)
    const now = this.#followed.now()
    if (picked === undefined || now >= picked.notBefore) return undefined
    const delay = Math.min(picked.notBefore - now, LONGEST_TIMER_MS)
    this.#untilValid = setTimeout(() => this.#followed.notify(), delay).unref()
    const found = [before?.picked, before?.predecessor].find(
      (svid) => svid?.id.equals(picked.id) && isValidAt(svid, now) && leadsToAuthority(svid, bundles, now),
    )
    const until = iso(picked.notBefore)
    this.#followed.logger.warn(
      { id: picked.id.toString(), valid_from: until, predecessor: found !== undefined },
      'an X.509-SVID is not valid yet: is the clock here slow?',
    )
    return found
  }

  /** A `pick` that throws, or answers something else, has picked nothing. */
  #choose(svids: readonly X509Svid[]): X509Svid | undefined {
    try {
      const picked = this.#pick(svids)
      if (picked === undefined || svids.includes(picked)) return picked
      this.#followed.logger.error({}, 'pick answered what is none of the SVIDs')
    } catch (error) {
      this.#followed.logger.error({ err: String(error) }, 'pick threw')
    }
    return undefined
  }

  #compareBundles(): void {
    const bundles = this.#followed.peek()?.bundles
    if (!sameBundles(this.#bundles, bundles)) this.#generation++
    this.#bundles = bundles
  }
}

function isValidAt({ notBefore, notAfter }: X509Svid, now: number): boolean {
  return now >= notBefore && now < notAfter
}

/** What is withdrawn serves no longer, also not for the time in between. */
function leadsToAuthority({ certificates }: X509Svid, bundles: State['bundles'], time: number): boolean {
  try {
    verifyX509Chain(certificates, { getX509Bundle: (name) => bundles.get(name) }, { time })
    return true
  } catch {
    return false
  }
}

/** The same certificates are of the same key. */
function sameSvid(one: X509Svid, other: X509Svid): boolean {
  return (
    one.hint === other.hint &&
    one.certificates.length === other.certificates.length &&
    one.certificates.every((der, i) => Buffer.compare(der, other.certificates[i] as Uint8Array) === 0)
  )
}

function noSvid({ svids, problems }: State): SpiffeError {
  const why =
    svids.length > 0
      ? `none of ${svids.length} was picked`
      : problems.length > 0
        ? `none could be read: ${problems[0]?.message}`
        : 'there is none'
  return new SpiffeError(
    'ERR_SPIFFE_NO_SVID',
    `X.509-SVID: ${why}`,
    problems.length > 0 ? { cause: problems[0] } : {},
  )
}

function iso(time: number): string {
  return new Date(time).toISOString()
}
