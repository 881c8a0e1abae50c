const listeners = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls back once when `signal` aborts, at once if it has; answers how to leave. However many wait for one signal, it has one
 * listener: a request's is waited for by as many operations as run in parallel, and Node 20 warns of more than ten.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener()
    return () => {}
  }
  const own = (): void => listener()
  const waiting = listeners.get(signal) ?? listenTo(signal)
  waiting.add(own)
  return () => {
    waiting.delete(own)
  }
}

function listenTo(signal: AbortSignal): Set<() => void> {
  const waiting = new Set<() => void>()
  listeners.set(signal, waiting)
  signal.addEventListener(
    'abort',
    () => {
      for (const listener of waiting) listener()
      waiting.clear()
    },
    { once: true },
  )
  return waiting
}
