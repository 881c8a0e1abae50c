import { onTestFinished, vi } from 'vitest'

/** A limit that no test waits for, and that nothing else here has. */
export const handlerTimeout = 7_654_321

/**
 * Holds the timers of routes with that `handlerTimeout`, for one test: the time of a request is over when it is told so, however
 * fast or slow the machine is.
 */
export function heldTimeLimit(): { over(): void } {
  const { setTimeout } = globalThis
  const held: (() => void)[] = []
  const holding = (callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => {
    if (ms === handlerTimeout) held.push(callback)
    return setTimeout(callback, ms, ...args)
  }
  const timers = vi.spyOn(globalThis, 'setTimeout').mockImplementation(holding as typeof setTimeout)
  onTestFinished(() => timers.mockRestore())
  return {
    over() {
      const [end, ...others] = held.splice(0)
      if (end === undefined || others.length > 0) throw new Error('expected one request with a time limit')
      end()
    },
  }
}
