import { createPrivateSlot } from './private-slot.js'

interface Waiting {
  readonly who: Set<() => void>
  /** Takes the one listener away. */
  forget(): void
}

const waiting = createPrivateSlot<AbortSignal, Waiting | undefined>()

/**
 * Calls back once when `signal` aborts, at once if it has; answers how to leave. However many wait for one signal, it has one
 * listener, and none when all have left: a request's is waited for by as many operations as run in parallel, and Node 20 warns
 * of more than ten.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener()
    return () => {}
  }
  const own = (): void => listener()
  const { who, forget } = waiting.get(signal) ?? listenTo(signal)
  who.add(own)
  return () => {
    if (who.delete(own) && who.size === 0) forget()
  }
}

function listenTo(signal: AbortSignal): Waiting {
  const who = new Set<() => void>()
  const tell = (): void => {
    waiting.set(signal, undefined)
    const all = [...who]
    who.clear()
    for (const listener of all) listener()
  }
  signal.addEventListener('abort', tell, { once: true })
  const one = {
    who,
    forget: () => {
      waiting.set(signal, undefined)
      signal.removeEventListener('abort', tell)
    },
  }
  waiting.set(signal, one)
  return one
}
