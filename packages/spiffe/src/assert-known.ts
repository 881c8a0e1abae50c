import { assertOptions, KestConfigError } from '@kest/core'
import { SpiffeError } from './errors.js'

/**
 * `assertOptions` of `@kest/core`, with this package's error.
 * @throws {SpiffeError} `ERR_SPIFFE_CONFIG` for options that are no object, and for one that is not among `known`
 */
export function assertKnown(where: string, options: unknown, known: readonly string[]): void {
  try {
    assertOptions(where, options, known)
  } catch (error) {
    if (!(error instanceof KestConfigError)) throw error
    throw new SpiffeError('ERR_SPIFFE_CONFIG', error.message)
  }
}
