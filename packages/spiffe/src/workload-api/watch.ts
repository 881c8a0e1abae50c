import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js'
import type { Logger, Outages } from '@kest/core'
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
  /** Of the server, for the log. */
  readonly address: string
  open(): ClientReadableStream<M>
  read(message: M): T
  readonly backoff: Backoff
  readonly logger: Logger
  readonly outages: Outages
}

/**
 * Keeps a stream open for as long as it is wanted: what ends it begins the wait for the next, unless it was refused for
 * good. That it broke off is told as an outage, once for all that is followed. A message resets the backoff. The wait for the
 * next keeps no process alive. Whatever the watcher throws is logged and ends nothing.
 */
export function watch<M, T>(options: WatchOptions<M, T>, watcher: Watcher<T>): End {
  const { call, address, backoff, logger, outages } = options
  const ofCall = `${address} ${call}`
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
    const details = { call, retry_in_ms: retryInMs }
    if (final) {
      const known = { code: error.code, asked: address, ...details, err: error.message }
      logger.error(known, 'the Workload API refuses: not asking again')
    } else {
      const { code } = error
      // Who is away is away for all calls; what else goes wrong with one says nothing of the others.
      const asked = code === 'ERR_SPIFFE_UNAVAILABLE' ? address : ofCall
      const effect = 'what is known serves on as long as it may'
      outages.failed({
        what: 'the Workload API',
        effect,
        asked,
        code,
        error,
        details: () => details,
      })
    }
    if (retryInMs === null) stopped = true
    else timer = setTimeout(attempt, retryInMs).unref()
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
      outages.works(address)
      outages.works(ofCall)
      tell(() => watcher.onUpdate(state))
    })
    stream.on('error', (error: ServiceError) => end(toSpiffeError(error, call, address)))
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
