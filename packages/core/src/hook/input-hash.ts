import { createHash } from 'node:crypto'
import { assertOptions } from '../assert-options.js'
import { currentState, type KestState } from '../context/state.js'
import { canonicalize } from '../entry/canonicalize.js'
import type { MaybePromise } from '../maybe-promise.js'
import type { Pseudonymizer } from '../pseudonyms/pseudonymizer.js'

/** Whose input it is. */
export interface InputHashOptions {
  /** Name of the operation. */
  readonly operation: string
  /** Of the request; default: the ambient one. */
  readonly state?: KestState | null | undefined
  /** Aborts when nobody waits any more. */
  readonly signal?: AbortSignal | undefined
}

/**
 * What stands for an operation's input in its entry: SHA-256 of its RFC 8785 JSON; keyed where pseudonyms are on, since what is
 * short could be guessed at (K-PSEUDONYM).
 */
export function hashInput(
  pseudonyms: Pseudonymizer | null,
  value: unknown,
  options: InputHashOptions,
): MaybePromise<string> {
  assertOptions('inputHash', options, ['operation', 'state', 'signal'])
  const { operation, state = currentState(), signal = null } = options
  const text = canonicalize(value)
  if (pseudonyms === null) return createHash('sha256').update(text, 'utf8').digest('hex')
  return pseudonyms.digest(text, { operation, tenant: state?.names?.tenant() ?? null, signal })
}
