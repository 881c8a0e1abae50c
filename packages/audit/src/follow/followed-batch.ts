import type { SpanBatch } from '../read/batch.js'

/** What was read of files that go on. */
export interface FollowedBatch extends SpanBatch {
  /** Whether all that was there has been read: what comes later came later. */
  readonly atEnd: boolean
}
