import { KestError } from '../errors.js'
import { inTime } from '../in-time.js'
import { answered, isPromise, type MaybePromise } from '../maybe-promise.js'
import type { IdentityProvider, Signer } from './provider.js'

/**
 * One snapshot of who signs (K-SIGNER).
 *
 * @param timeoutMs how long the provider is waited for
 * @param signal aborts when whoever asked has left
 * @throws {KestError} `ERR_KEST_IDENTITY` when there is none, or none in time; `ERR_KEST_ABORTED`. Thrown at once or by
 *   the promise.
 */
export function currentSigner(
  provider: IdentityProvider,
  timeoutMs: number,
  signal: AbortSignal | null,
): MaybePromise<Signer> {
  try {
    const current = answered(provider.current())
    if (!isPromise(current)) return named(current)
    const late = (ms: number): KestError =>
      new KestError('ERR_KEST_IDENTITY', `the provider did not say who signs within ${ms} ms`)
    const patience = { ms: timeoutMs, what: 'it was known who signs', signal, late }
    return inTime(current, patience).then(named, unidentified)
  } catch (cause) {
    return unidentified(cause)
  }
}

/** A signer that takes its time, as one behind a network may. */
export function signingLate(ms: number): KestError {
  return new KestError('ERR_KEST_IDENTITY', `no signature within ${ms} ms`)
}

function named(signer: Signer): Signer {
  if (typeof signer?.workloadId === 'string' && signer.workloadId !== '') return signer
  return unidentified(new TypeError('no workload id'))
}

function unidentified(cause: unknown): never {
  if (cause instanceof KestError) throw cause
  throw new KestError('ERR_KEST_IDENTITY', 'the workload has no identity now', { cause })
}
