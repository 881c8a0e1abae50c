import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js'
import type { Logger } from '@kest/core'
import { SpiffeError } from '../errors.js'
import type { Backoff } from './backoff.js'
import { isFinal, toSpiffeError } from './status.js'

/** Who is told what a stream of the Workload API brings. */
export interface Watcher<T> {
  /** The whole state. What earlier ones had and this one lacks is withdrawn. */
  onUpdate(state: T): void
  /**
   * The stream broke off, or was never had. After `ERR_SPIFFE_REFUSED`, and `ERR_SPIFFE_CLOSED` when the client was closed,
   * nothing more comes; after any other code it is tried again, in `retryInMs`.
   */
  onError(error: SpiffeError, retryInMs: number | null): void
}

/** Ends what was begun. May be called more than once. */
export type Stop = () => void

/** Ends it; with a reason, the watcher is told. */
export type End = (why?: SpiffeError) => void

/** How a stream is opened, read and opened again. */
export interface WatchOptions<M, T> {
  readonly call: string
  open(): ClientReadableStream<M>
  read(message: M): T
  readonly backoff: Backoff
  readonly logger: Logger
}

/**
 * Keeps a stream open for as long as it is wanted: what ends it begins the wait for the next, unless it was refused for
 * good. A message resets the backoff. Whatever the watcher throws is logged and ends nothing.
 */
export function watch<M, T>(options: WatchOptions<M, T>, watcher: Watcher<T>): End {
  const { call, backoff, logger } = options
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let stream: ClientReadableStream<M> | undefined

  const tell = (what: () => void): void => {
    try {
      what()
    } catch (error) {
      logger.error({ call, err: String(error) }, 'a watcher of the Workload API threw')
    }
  }

  const fail = (error: SpiffeError): void => {
    if (stopped) return
    const final = isFinal(error)
    const retryInMs = final ? null : backoff.next()
    logger[final ? 'error' : 'warn'](
      { call, code: error.code, err: error.message, retry_in_ms: retryInMs },
      final ? 'the Workload API refuses: not asking again' : 'the Workload API broke off',
    )
    if (retryInMs === null) stopped = true
    else timer = setTimeout(attempt, retryInMs)
    tell(() => watcher.onError(error, retryInMs))
  }

  const attempt = (): void => {
    // One attempt may fail in two ways at once; the first counts.
    let ended = false
    const end = (error: SpiffeError): void => {
      if (ended) return
      ended = true
      fail(error)
    }
    try {
      stream = options.open()
    } catch (cause) {
      end(toUnavailable(call, cause))
      return
    }
    const current = stream
    stream.on('data', (message: M) => {
      if (stopped || ended) return
      let state: T
      try {
        state = options.read(message)
      } catch (cause) {
        end(
          new SpiffeError('ERR_SPIFFE_RESPONSE', `Workload API: ${call}: an answer cannot be read`, {
            cause,
          }),
        )
        current.cancel()
        return
      }
      backoff.reset()
      tell(() => watcher.onUpdate(state))
    })
    stream.on('error', (error: ServiceError) => end(toSpiffeError(error, call)))
    stream.on('end', () =>
      end(new SpiffeError('ERR_SPIFFE_UNAVAILABLE', `Workload API: ${call}: the stream ended`)),
    )
  }

  attempt()
  return (why) => {
    const running = !stopped
    stopped = true
    clearTimeout(timer)
    stream?.cancel()
    if (running && why !== undefined) tell(() => watcher.onError(why, null))
  }
}

function toUnavailable(call: string, cause: unknown): SpiffeError {
  return new SpiffeError('ERR_SPIFFE_UNAVAILABLE', `Workload API: ${call}: it cannot be called`, { cause })
}
