import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../failure.js'
import type { Watch } from './watch.js'

const PAUSE_MS = 50

export interface Patience {
  /** Milliseconds. */
  readonly timeoutMs: number
  /** What to say when it took too long. */
  readonly late: () => string
}

/**
 * Asks again and again until the answer is not `undefined`. What `ask` throws counts as no answer yet, and becomes the
 * cause when time is up.
 *
 * @throws {Failure} when it took too long; the watch's reason when it is given up
 */
export async function until<T>(
  ask: () => T | Promise<T>,
  { timeoutMs, late }: Patience,
  watch: Watch,
): Promise<NonNullable<T>> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const [answer, cause] = await watch.wait(attempt(ask))
    if (answer !== undefined && answer !== null) return answer
    if (Date.now() > end) throw new Failure(late(), { cause })
    await watch.wait(sleep(PAUSE_MS))
  }
}

async function attempt<T>(ask: () => T | Promise<T>): Promise<[T | undefined, unknown]> {
  try {
    return [await ask(), undefined]
  } catch (error) {
    return [undefined, error]
  }
}
