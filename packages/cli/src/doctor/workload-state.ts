import type { WorkloadApiClient, X509State } from '@kest/spiffe'

/**
 * What a Workload API says now: of the first answer, or of the first failure. It is not asked again.
 *
 * @throws {SpiffeError} what the failure was
 * @throws the signal's reason
 */
export async function workloadState(client: WorkloadApiClient, signal: AbortSignal): Promise<X509State> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = withResolvers<X509State>()
  const stop = client.watchX509({ onUpdate: resolve, onError: reject })
  const leave = (): void => reject(signal.reason)
  signal.addEventListener('abort', leave)
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', leave)
    stop()
  }
}

/** Of Node 22; and a call that is followed keeps no process alive, which a timer does. */
function withResolvers<T>(): {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (reason: unknown) => void
} {
  let resolve: (value: T) => void = () => {}
  let reject: (reason: unknown) => void = () => {}
  const promise = new Promise<T>((...both) => ([resolve, reject] = both))
  return { promise, resolve, reject }
}
