import type { ReadableSpan } from '../spans/readable-span.js'

/** Where batches of audit spans go. */
export interface Destination {
  /** For logs, such as `file /var/lib/kest/audit`. */
  readonly name: string
  /**
   * Settles when the spans are there, as durably as the destination promises. It is given one batch at a time.
   *
   * @throws {SpansRefusedError} these spans will not be taken later either; any other error: they may be, and a
   *   {@link NotNowError} says when
   */
  write(spans: readonly ReadableSpan[]): Promise<void>
  /** Nothing is written after it. Settles when nothing of it is under way any more, of a `write` that was given up as well. */
  close(): Promise<void>
}

/** How it came that spans will never be taken: the destination looked at them, or they cannot be written at all. */
export type RefusalReason = 'refused' | 'unwritable'

/** These spans will not be taken: no use in trying again. */
export class SpansRefusedError extends Error {
  /** How many of the batch; `null` when it is the batch as a whole, and parts of it may be taken. */
  readonly refused: number | null
  readonly reason: RefusalReason

  constructor(
    message: string,
    refused: number | null,
    { reason = 'refused', ...options }: ErrorOptions & { readonly reason?: RefusalReason } = {},
  ) {
    super(message, options)
    this.name = 'SpansRefusedError'
    this.refused = refused
    this.reason = reason
  }
}

/** The destination answers, and does not take the spans for a reason of its own. */
export class NotNowError extends Error {
  /** Of HTTP. */
  readonly status: number
  /** When it asks to be tried again, milliseconds from now; `null`: it does not say. */
  readonly retryAfterMs: number | null

  constructor(message: string, status: number, retryAfterMs: number | null) {
    super(message)
    this.name = 'NotNowError'
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

/**
 * What `serialize` answers: spans as they are to be written.
 *
 * @throws {SpansRefusedError} when they cannot be, such as a text longer than a JavaScript string may be
 */
export function serialized<T>(serialize: () => T): T {
  try {
    return serialize()
  } catch (cause) {
    throw unwritable(cause)
  }
}

export function unwritable(cause: unknown): SpansRefusedError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new SpansRefusedError(`cannot be written: ${why}`, null, { reason: 'unwritable', cause })
}
