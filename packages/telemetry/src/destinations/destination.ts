import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'

/** Where batches of audit spans go. */
export interface Destination {
  /** For logs, such as `file /var/lib/kest/audit`. */
  readonly name: string
  /**
   * Settles when the spans are there, as durably as the destination promises. It is given one batch at a time.
   *
   * @throws {SpansRefusedError} these spans will not be taken later either; any other error: they may be
   */
  write(spans: readonly ReadableSpan[]): Promise<void>
  /** Nothing is written after it. */
  close(): Promise<void>
}

/** The destination looked at the spans and does not take them: no use in trying again. */
export class SpansRefusedError extends Error {
  /** How many of the batch; `null` when it is the batch as a whole, and parts of it may be taken. */
  readonly refused: number | null

  constructor(message: string, refused: number | null, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SpansRefusedError'
    this.refused = refused
  }
}
