import { systemClock } from '../../src/clock.js'
import { Frame } from '../../src/context/frame.js'
import { Lifetime } from '../../src/context/lifetime.js'
import type { KestState } from '../../src/context/state.js'

/** A state that is made by hand, and does not end by itself. */
export function stateWith(more: Partial<KestState> = {}): KestState {
  return {
    frame: new Frame(),
    origin: null,
    identity: null,
    jwt: null,
    signal: null,
    lifetime: new Lifetime(systemClock, Number.POSITIVE_INFINITY),
    ...more,
  }
}
