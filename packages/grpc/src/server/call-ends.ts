import { EventEmitter } from 'node:events'
import type { ArrivedResponse } from '@kest/core'

/** What is known of a call's end, in the place of a response of HTTP. */
export class CallEnds extends EventEmitter implements ArrivedResponse {
  /** Metadata is no answer. */
  readonly headersSent = false
  /** Whether the status was given, so that nothing more is to be said. */
  writableEnded = false
  /** Whether nobody listens any more: the status was sent, the caller has left, or his deadline has passed. */
  destroyed = false

  /** Called once or more often. */
  over(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.emit('close')
  }
}
