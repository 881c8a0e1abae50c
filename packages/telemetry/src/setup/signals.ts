import type { Logger } from '@kest/core'

interface Flushable {
  forceFlush(): Promise<void>
  shutdown(): Promise<void>
}

/** Those of all trails of this process: they wait for each other, and for nobody else. */
const listeners = new WeakSet<object>()

/**
 * At each of the signals, exports what is queued. Where nobody else listens the process then ends by that signal, as it
 * would have; otherwise whoever listens decides when it ends.
 *
 * @returns ends it
 */
export function onSignals(
  signals: readonly NodeJS.Signals[],
  telemetry: Flushable,
  logger: Logger,
): () => void {
  let ending = false

  async function onSignal(signal: NodeJS.Signals): Promise<void> {
    const alone = process.listeners(signal).every((listener) => listeners.has(listener))
    ending ||= alone
    try {
      await (alone ? telemetry.shutdown() : telemetry.forceFlush())
    } catch (error) {
      logger.error({ signal, err: (error as Error).message }, 'audit spans were not all exported at a signal')
    }
    if (!alone) return
    process.off(signal, onSignal)
    // Of several trails the last one ends it.
    if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
  }

  listeners.add(onSignal)
  // Before all others, of whom those that listen once are gone when they have been told.
  for (const signal of signals) process.prependListener(signal, onSignal)
  return () => {
    if (ending) return
    for (const signal of signals) process.off(signal, onSignal)
  }
}
