import type { X509BundleSource } from '../bundle/bundle-source.js'
import type { X509Bundle } from '../bundle/x509-bundle.js'
import type { Stop } from '../workload-api/watch.js'
import type { X509BundlesState } from '../workload-api/x509-state.js'
import { sameBundles } from './bundle-map.js'
import { clientOf, type SourceOptions } from './client-of.js'
import { Followed, type SourceStatus } from './followed.js'

/**
 * The bundles of the Workload API alone, for a process that verifies others and has no identity of its own.
 * {@link X509Source} has them as well.
 *
 * Follows as {@link X509Source} does.
 */
export class BundleSource implements X509BundleSource {
  readonly #followed: Followed<X509BundlesState>
  readonly #done: () => void
  #generation = 0
  #bundles: ReadonlyMap<string, X509Bundle> | undefined

  private constructor(options: SourceOptions, done: () => void) {
    this.#followed = new Followed('bundle source', options)
    this.#done = done
  }

  /** Connects, and waits for the first update. @throws {SpiffeError} as {@link X509Source.connect} */
  static async connect(options: SourceOptions = {}): Promise<BundleSource> {
    const { client, done } = clientOf('BundleSource', options)
    try {
      const source = new BundleSource(options, done)
      const followed = source.#followed
      followed.subscribe(() => source.#compareBundles())
      await followed.start(
        (watcher) => client.watchX509Bundles(watcher),
        (update: X509BundlesState) => {
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

  get generation(): number {
    return this.#generation
  }

  getX509Bundle(trustDomain: string): X509Bundle | undefined {
    return this.#followed.get().bundles.get(trustDomain)
  }

  /** Names of the trust domains whose bundles are here. @throws as {@link BundleSource.getX509Bundle} */
  trustDomains(): readonly string[] {
    return [...this.#followed.get().bundles.keys()]
  }

  /** How it is doing. Never throws. */
  status(): SourceStatus {
    return this.#followed.status((this.#followed.peek()?.problems ?? []).map(({ error }) => error))
  }

  /** Calls back after every update, and when the connection broke off. */
  subscribe(listener: () => void): Stop {
    return this.#followed.subscribe(listener)
  }

  /** Stops following; closes the client if it made it. Idempotent. */
  close(): void {
    if (this.#followed.closed) return
    this.#followed.close()
    this.#generation++
    this.#done()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #compareBundles(): void {
    const bundles = this.#followed.peek()?.bundles
    if (!sameBundles(this.#bundles, bundles)) this.#generation++
    this.#bundles = bundles
  }
}
