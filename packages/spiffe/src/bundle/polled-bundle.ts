import { SpiffeError } from '../errors.js'
import type { TrustDomain } from '../id/spiffe-id.js'
import { Followed, type FollowOptions, type SourceStatus } from '../source/followed.js'
import { isFinal } from '../workload-api/status.js'
import type { Stop, Watcher } from '../workload-api/watch.js'
import type { JwtBundleSource, X509BundleSource } from './bundle-source.js'
import type { JwtBundle } from './jwt-bundle.js'
import type { SpiffeBundle } from './spiffe-bundle.js'
import type { X509Bundle } from './x509-bundle.js'

/** One trust domain's bundle, read again and again from where it is kept. */
export interface PolledBundleSource extends X509BundleSource, JwtBundleSource {
  readonly trustDomain: TrustDomain
  /** How it is doing. Never throws. */
  status(): SourceStatus
  /** Calls back after each time it was read, or could not be. */
  subscribe(listener: () => void): Stop
  /** Idempotent. */
  close(): void
}

/** How one is read, and when again. */
export interface Polling {
  /** As errors call it. */
  readonly name: string
  readonly trustDomain: TrustDomain
  /** @param before what was read last */
  read(before: SpiffeBundle | undefined, signal: AbortSignal): Promise<SpiffeBundle>
  /** Milliseconds until the next time; `undefined` after a failure. */
  delayMs(bundle: SpiffeBundle | undefined): number
}

/** Reads, and waits for the first success. @throws {SpiffeError} as {@link Followed.start} */
export async function pollBundle(polling: Polling, options: FollowOptions): Promise<PolledBundleSource> {
  const source = new Polled(polling, options)
  await source.start(options)
  return source
}

class Polled implements PolledBundleSource {
  readonly trustDomain: TrustDomain
  readonly #polling: Polling
  readonly #followed: Followed<SpiffeBundle>
  #generation = 0

  constructor(polling: Polling, options: FollowOptions) {
    this.trustDomain = polling.trustDomain
    this.#polling = polling
    this.#followed = new Followed(polling.name, options)
  }

  async start(options: FollowOptions): Promise<void> {
    await this.#followed.start<SpiffeBundle>(
      (watcher) => this.#poll(watcher),
      (update, before) => {
        if (before === undefined || !before.x509.equals(update.x509)) this.#generation++
        return update
      },
      () => undefined,
      options,
    )
  }

  get generation(): number {
    return this.#generation
  }

  getX509Bundle(trustDomain: string): X509Bundle | undefined {
    return trustDomain === this.trustDomain.name ? this.#followed.get().x509 : undefined
  }

  getJwtBundle(trustDomain: string): JwtBundle | undefined {
    return trustDomain === this.trustDomain.name ? this.#followed.get().jwt : undefined
  }

  status(): SourceStatus {
    return this.#followed.status([])
  }

  subscribe(listener: () => void): Stop {
    return this.#followed.subscribe(listener)
  }

  close(): void {
    if (this.#followed.closed) return
    this.#generation++
    this.#followed.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #poll(watcher: Watcher<SpiffeBundle>): Stop {
    const { name, delayMs } = this.#polling
    const stopping = new AbortController()
    let timer: NodeJS.Timeout | undefined
    const again = (ms: number): void => {
      if (!stopping.signal.aborted) timer = setTimeout(once, ms).unref()
    }
    const once = (): void => {
      this.#polling.read(this.#followed.peek(), stopping.signal).then(
        (bundle) => {
          watcher.onUpdate(bundle)
          again(delayMs(bundle))
        },
        (cause: unknown) => {
          const error = failureOf(name, cause)
          const ms = delayMs(undefined)
          if (!stopping.signal.aborted) {
            this.#followed.logger.warn(
              { bundle: name, code: error.code, err: error.message },
              'a bundle could not be read',
            )
          }
          watcher.onError(error, ms)
          again(ms)
        },
      )
    }
    once()
    return () => {
      stopping.abort()
      clearTimeout(timer)
    }
  }
}

/** What withdraws, or ends, a source is that of another one, whose bundles the endpoint was to be verified with. */
function failureOf(name: string, cause: unknown): SpiffeError {
  const own = cause instanceof SpiffeError && cause.code !== 'ERR_SPIFFE_DENIED' && !isFinal(cause)
  return own ? cause : unavailable(name, cause)
}

function unavailable(name: string, cause: unknown): SpiffeError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new SpiffeError('ERR_SPIFFE_UNAVAILABLE', `${name}: ${why}`, { cause })
}
