import { KestError } from '../errors.js'
import { assertLive } from './lifetime.js'
import { type KestState, runWithState } from './state.js'

/**
 * A state for work that goes on after the request or operation that started it (K-STATE): what is done in it links to
 * what happened before, and does not join it. Also for `using`.
 */
export interface KeptState extends Disposable {
  readonly state: KestState
  /** Runs `fn` in it, and what `fn` starts. */
  run<T>(fn: () => T): T
  /** The work is done. Idempotent. */
  end(): void
}

/**
 * Keeps a state for background work, without what belongs to whoever waits for an answer: its signal and its token.
 * @throws {KestError} `ERR_KEST_STATE_ENDED` when it has ended; `ERR_KEST_LINEAGE_MISSING` when there is none
 */
export function keepState(state: KestState | null): KeptState {
  if (state === null)
    throw new KestError('ERR_KEST_LINEAGE_MISSING', 'kest.keep(): there is no request and no operation here')
  assertLive(state, 'kest.keep()')
  const facts = state.request?.()
  const kept: KestState = {
    ...state,
    // What goes on must not hold the request.
    ...(facts !== undefined && { request: () => facts }),
    frame: state.frame.fork(),
    jwt: null,
    signal: null,
    lifetime: state.lifetime.child(),
  }
  const end = (): void => kept.lifetime.end()
  return Object.freeze({
    state: kept,
    run: <T>(fn: () => T): T => runWithState(kept, fn),
    end,
    [Symbol.dispose]: end,
  })
}

/**
 * The same state with a frame of its own, as it is now: what begins in it neither follows what its siblings did nor joins
 * them. For what comes again and again on one connection, such as the messages of a WebSocket. It ends with the state.
 */
export function forkState(state: KestState): KestState {
  return { ...state, frame: state.frame.fork() }
}
