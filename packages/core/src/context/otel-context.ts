import { type Context, createContextKey } from '@opentelemetry/api'
import type { KestState } from './state.js'

const STATE_KEY = createContextKey('kest.state.1')

/**
 * An OpenTelemetry context with a state on top. The API's own `setValue` copies all values and makes three closures,
 * for each operation; they are most of what the garbage collector then has to move.
 */
class StateContext implements Context {
  readonly #below: Context
  readonly #state: KestState

  constructor(below: Context, state: KestState) {
    // Of several states only the uppermost is found.
    this.#below = below instanceof StateContext ? below.#below : below
    this.#state = state
  }

  getValue(key: symbol): unknown {
    return key === STATE_KEY ? this.#state : this.#below.getValue(key)
  }

  setValue(key: symbol, value: unknown): Context {
    if (key === STATE_KEY) return this.#below.setValue(key, value)
    return new StateContext(this.#below.setValue(key, value), this.#state)
  }

  deleteValue(key: symbol): Context {
    if (key === STATE_KEY) return this.#below.deleteValue(key)
    return new StateContext(this.#below.deleteValue(key), this.#state)
  }
}

/** `context`, and what runs in it finds `state`. */
export function withState(context: Context, state: KestState): Context {
  return new StateContext(context, state)
}

/** `context`, and what runs in it finds none. */
export function withoutState(context: Context): Context {
  return context.deleteValue(STATE_KEY)
}

/** The state that {@link withState} put there. */
export function stateOf(context: Context): KestState | undefined {
  return context.getValue(STATE_KEY) as KestState | undefined
}
