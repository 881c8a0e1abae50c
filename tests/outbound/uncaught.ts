import { onTestFinished } from 'vitest'

/** Until the test is over: what is thrown where nobody can catch it, instead of a failure of the test. */
export function uncaughtErrors(): readonly unknown[] {
  const errors: unknown[] = []
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => errors.push(error))
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException')
    for (const listener of others) process.on('uncaughtException', listener)
  })
  return errors
}
