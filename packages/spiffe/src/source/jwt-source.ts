import type { JwtBundleSource } from '../bundle/bundle-source.js'
import type { JwtBundle } from '../bundle/jwt-bundle.js'
import { SpiffeError } from '../errors.js'
import type { SpiffeId } from '../id/spiffe-id.js'
import type { JwtSvid } from '../svid/jwt-svid.js'
import type { CallLimits, WorkloadApiClient } from '../workload-api/client.js'
import type { JwtBundlesState } from '../workload-api/jwt-state.js'
import type { Stop } from '../workload-api/watch.js'
import { clientOf, type SourceOptions } from './client-of.js'
import { Followed, type SourceStatus } from './followed.js'

/** How a {@link JWTSource} is made. */
export type JWTSourceOptions = SourceOptions & {
  /** Which of several identities a token is of. Default: the first. */
  readonly pick?: (svids: readonly JwtSvid[]) => JwtSvid | undefined
}

/**
 * JWT-SVIDs of this workload, fetched when they are asked for, and the keys to verify those of others, followed.
 *
 * @example
 * ```ts
 * const source = await JWTSource.connect()
 * const { token } = await source.fetch({ audience: 'spiffe://example.org/orders' })
 * const { id } = await verifyJwtSvid(theirs, source, { audience: 'spiffe://example.org/me' })
 * ```
 */
export class JWTSource implements JwtBundleSource {
  readonly #followed: Followed<JwtBundlesState>
  readonly #client: WorkloadApiClient
  readonly #done: () => void
  readonly #pick: NonNullable<JWTSourceOptions['pick']>

  private constructor(options: JWTSourceOptions, client: WorkloadApiClient, done: () => void) {
    this.#followed = new Followed('JWT source', options)
    this.#client = client
    this.#done = done
    this.#pick = options.pick ?? ((svids) => svids[0])
  }

  /** Connects, and waits for the first keys. @throws {SpiffeError} as {@link X509Source.connect} */
  static async connect(options: JWTSourceOptions = {}): Promise<JWTSource> {
    const { client, done } = clientOf('JWTSource', options, ['pick'])
    try {
      const source = new JWTSource(options, client, done)
      const followed = source.#followed
      await followed.start(
        (watcher) => client.watchJwtBundles(watcher),
        (update: JwtBundlesState) => {
          for (const { part, error } of update.problems) {
            followed.logger.error(
              { part, code: error.code, err: error.message },
              'a part of an update is not used',
            )
          }
          return update
        },
        () => undefined,
        options,
      )
      return source
    } catch (error) {
      done()
      throw error
    }
  }

  /**
   * Fetches a token. Each call asks the Workload API, which keeps them.
   * @throws {SpiffeError} as {@link WorkloadApiClient.fetchJwtSvids}; `ERR_SPIFFE_NO_SVID` when `pick` takes none
   */
  async fetch(
    request: { readonly audience: string | readonly string[]; readonly id?: SpiffeId },
    limits: CallLimits = {},
  ): Promise<JwtSvid> {
    if (this.#followed.closed) throw new SpiffeError('ERR_SPIFFE_CLOSED', 'JWT source: it was closed')
    const svids = await this.#client.fetchJwtSvids(request, limits)
    const picked = this.#pick(svids)
    if (picked !== undefined && svids.includes(picked)) return picked
    throw new SpiffeError('ERR_SPIFFE_NO_SVID', `JWT-SVID: none of ${svids.length} was picked`)
  }

  getJwtBundle(trustDomain: string): JwtBundle | undefined {
    return this.#followed.get().bundles.get(trustDomain)
  }

  /** How it is doing. Never throws. */
  status(): SourceStatus {
    return this.#followed.status((this.#followed.peek()?.problems ?? []).map(({ error }) => error))
  }

  /** Calls back after every update of keys, and when the connection broke off. */
  subscribe(listener: () => void): Stop {
    return this.#followed.subscribe(listener)
  }

  /** Stops following; closes the client if it made it. Idempotent. */
  close(): void {
    if (this.#followed.closed) return
    this.#followed.close()
    this.#done()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
