import { logError } from './kafka-errors.js'
import { Unavailable } from './log.js'

/** Longer than any request takes that is answered. */
const DEADLINE_MS = 30_000

/**
 * Does something with a client of Kafka. Of a connection that breaks, not every request is answered: none is waited for longer than that.
 *
 * @param doing for the message of what it throws
 * @throws as {@link logError}
 */
export async function attempt<T>(
  doing: string,
  work: () => Promise<T>,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Unavailable(`kafka: ${doing}: nothing was answered in ${deadlineMs} ms`)),
      deadlineMs,
    )
  })
  try {
    return await Promise.race([work(), late])
  } catch (cause) {
    throw logError(cause, doing)
  } finally {
    clearTimeout(timer)
  }
}
