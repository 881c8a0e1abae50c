import { type Clock, type Logger, stderrLogger, systemClock } from '@kest/core'
import { assertDuration } from '../duration.js'
import { SpiffeError } from '../errors.js'
import { isFinal } from '../workload-api/status.js'
import type { Stop, Watcher } from '../workload-api/watch.js'

/** How long a source waits, and how long it lasts without its server. Times are milliseconds. */
export interface FollowOptions {
  /** Until the first update is here, up to 2,147,483,647. Default 30,000. */
  readonly connectTimeoutMs?: number
  /** Gives up waiting for the first update; afterwards it does nothing. */
  readonly signal?: AbortSignal
  /**
   * How long what is known is used after the connection broke off or an answer could not be read. Default 3,600,000; 0 for
   * not at all. An SVID ends with its certificate in any case.
   */
  readonly maxStaleMs?: number
  readonly clock?: Clock
  readonly logger?: Logger
}

/** How a source is doing. */
export interface SourceStatus {
  /** When the last update came, milliseconds since the epoch. */
  readonly updatedAt: number
  /** Since when it has heard nothing that it could read; `null` when it is up to date. */
  readonly staleSince: number | null
  /** Why it is stale, or what its identities and bundles were withdrawn with. */
  readonly error: SpiffeError | null
  /** Parts of the last update that could not be read, and are therefore not there. */
  readonly problems: readonly SpiffeError[]
  /** Updates that came, and failures, since it was made. */
  readonly updates: number
  readonly failures: number
}

/** Names of the options there are. */
export const FOLLOW_OPTIONS: readonly (keyof FollowOptions)[] = Object.freeze([
  'connectTimeoutMs',
  'signal',
  'maxStaleMs',
  'clock',
  'logger',
])

const CONNECT_TIMEOUT_MS = 30_000
const MAX_STALE_MS = 3_600_000

/**
 * The last state of something that is followed, and how far it can be relied on.
 *
 * - An update takes the place of the whole state.
 * - `ERR_SPIFFE_DENIED` withdraws it (SPIFFE Workload API §5.2.1, §5.2.2).
 * - `ERR_SPIFFE_CLOSED`: the client that it shares was closed, and so it is closed.
 * - Any other failure leaves it as it is, stale from then on, and no longer than `maxStaleMs`.
 */
export class Followed<T> {
  readonly #name: string
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #maxStaleMs: number
  readonly #listeners = new Set<() => void>()
  #stop: Stop | undefined
  #state: T | undefined
  #error: SpiffeError | null = null
  #staleSince: number | null = null
  #updatedAt = 0
  #updates = 0
  #failures = 0
  #closed = false

  /** @throws {SpiffeError} `ERR_SPIFFE_CONFIG` */
  constructor(name: string, options: FollowOptions) {
    this.#name = name
    this.#clock = options.clock ?? systemClock
    this.#logger = options.logger ?? stderrLogger
    this.#maxStaleMs = notNegative('maxStaleMs', options.maxStaleMs ?? MAX_STALE_MS)
    assertDuration('connectTimeoutMs', options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS)
  }

  get logger(): Logger {
    return this.#logger
  }

  get closed(): boolean {
    return this.#closed
  }

  now(): number {
    return this.#clock.now()
  }

  /**
   * Begins to follow, and waits for a state that is `ready`.
   *
   * @param accept makes the state of an update, given the one before it; called before listeners are
   * @throws {SpiffeError} `ERR_SPIFFE_TIMEOUT` with the last failure as its cause, `ERR_SPIFFE_ABORTED`,
   *   `ERR_SPIFFE_REFUSED`, `ERR_SPIFFE_CLOSED`. Nothing is followed then.
   */
  start<M>(
    follow: (watcher: Watcher<M>) => Stop,
    accept: (update: M, before: T | undefined) => T,
    ready: (state: T) => SpiffeError | undefined,
    { signal, connectTimeoutMs = CONNECT_TIMEOUT_MS }: FollowOptions,
  ): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      let waiting = true
      let last: SpiffeError | undefined
      const settle = (error?: SpiffeError): void => {
        if (!waiting) return
        waiting = false
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
        if (error === undefined) {
          resolve()
          return
        }
        this.close()
        reject(error)
      }
      const abort = (): void =>
        settle(
          new SpiffeError('ERR_SPIFFE_ABORTED', `${this.#name}: the caller gave up`, {
            cause: signal?.reason,
          }),
        )
      const timer = setTimeout(() => {
        const why = last === undefined ? 'nothing came' : last.message
        settle(
          new SpiffeError(
            'ERR_SPIFFE_TIMEOUT',
            `${this.#name}: not ready after ${connectTimeoutMs} ms: ${why}`,
            last === undefined ? {} : { cause: last },
          ),
        )
      }, connectTimeoutMs)
      if (signal?.aborted) return abort()
      signal?.addEventListener('abort', abort, { once: true })
      const watcher: Watcher<M> = {
        onUpdate: (update) => {
          if (this.#closed) return
          this.#accept(accept(update, this.#state))
          last = ready(this.#state as T)
          if (last === undefined) settle()
          this.notify()
        },
        onError: (error) => {
          if (this.#closed) return
          last = error
          this.#fail(error)
          if (isFinal(error)) settle(error)
          this.notify()
          if (error.code === 'ERR_SPIFFE_CLOSED') this.close()
        },
      }
      try {
        this.#stop = follow(watcher)
      } catch (error) {
        settle(error as SpiffeError)
        return
      }
      // It may have been refused before there was anything to stop.
      if (this.#closed) this.#stop()
    })
  }

  /** @throws {SpiffeError} `ERR_SPIFFE_CLOSED`, `ERR_SPIFFE_DENIED`, `ERR_SPIFFE_STALE` */
  get(): T {
    if (this.#closed) throw new SpiffeError('ERR_SPIFFE_CLOSED', `${this.#name}: it was closed`)
    if (this.#staleSince !== null && this.#clock.now() - this.#staleSince > this.#maxStaleMs) {
      throw new SpiffeError(
        'ERR_SPIFFE_STALE',
        `${this.#name}: it has heard nothing since ${new Date(this.#staleSince).toISOString()}`,
        { cause: this.#error },
      )
    }
    if (this.#state !== undefined) return this.#state
    throw new SpiffeError('ERR_SPIFFE_DENIED', `${this.#name}: what it had was withdrawn`, {
      cause: this.#error,
    })
  }

  /** What there is, reliable or not. */
  peek(): T | undefined {
    return this.#state
  }

  status(problems: readonly SpiffeError[]): SourceStatus {
    return Object.freeze({
      updatedAt: this.#updatedAt,
      staleSince: this.#staleSince,
      error: this.#error,
      problems,
      updates: this.#updates,
      failures: this.#failures,
    })
  }

  /** Calls back after every update and every failure. */
  subscribe(listener: () => void): Stop {
    const own = (): void => listener()
    this.#listeners.add(own)
    return () => {
      this.#listeners.delete(own)
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#state = undefined
    this.#listeners.clear()
    this.#stop?.()
  }

  #accept(state: T): void {
    this.#state = state
    this.#error = null
    this.#staleSince = null
    this.#updatedAt = this.#clock.now()
    this.#updates++
  }

  #fail(error: SpiffeError): void {
    this.#failures++
    this.#error = error
    if (error.code === 'ERR_SPIFFE_DENIED' || error.code === 'ERR_SPIFFE_CLOSED') {
      this.#state = undefined
      this.#staleSince = null
    } else this.#staleSince ??= this.#clock.now()
  }

  /** Calls back whoever subscribed: what is relied on has changed. */
  notify(): void {
    for (const listener of this.#listeners) {
      try {
        listener()
      } catch (error) {
        this.#logger.error({ source: this.#name, err: String(error) }, 'a listener threw')
      }
    }
  }
}

function notNegative(name: string, value: number): number {
  if (typeof value === 'number' && value >= 0) return value
  throw new SpiffeError(
    'ERR_SPIFFE_CONFIG',
    `${name}: expected a number that is not negative, got ${String(value)}`,
  )
}
