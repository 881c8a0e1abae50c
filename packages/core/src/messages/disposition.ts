import { KestError } from '../errors.js'

/** What becomes of a message that is not handled. */
export type Disposition = 'dead-letter' | 'redeliver'

/** What is wrong with the message, and will be when it comes again. */
const FOR_GOOD: ReadonlySet<number> = new Set([400, 401, 403])

/**
 * What becomes of a message that {@link Messages.receive} has refused (K-MESSAGE). One that is refused for what it is goes to where
 * dead letters go, with the error's code. One about which nothing could be said (an engine, a key source, the cache is down), or
 * that this service is not set up to judge, is to be delivered again, and never put away for it.
 *
 * @param error what `receive` has thrown. What a handler throws is the application's own, and is not judged by this.
 */
export function dispositionOf(error: unknown): Disposition {
  return error instanceof KestError && FOR_GOOD.has(error.statusCode) ? 'dead-letter' : 'redeliver'
}
