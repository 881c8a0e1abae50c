import { SpiffeError } from '../errors.js'

/** A part of a message that could not be read. */
export interface Problem {
  /** Which part: `SVID "spiffe://…"`, `bundle of …`. */
  readonly part: string
  readonly error: SpiffeError
}

export function problemOf(part: string, error: unknown): Problem {
  return Object.freeze({
    part,
    error:
      error instanceof SpiffeError
        ? error
        : new SpiffeError('ERR_SPIFFE_RESPONSE', `${part}: it cannot be read`, { cause: error }),
  })
}
