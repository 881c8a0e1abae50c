import { setTimeout as sleep } from 'node:timers/promises'
import { KestConfigError, KestError, type Logger, stderrLogger } from '@kest/core'

const DEFAULT_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 3_600_000

/** What becomes of a message about which nothing could be said. */
export interface RedeliveryOptions {
  /**
   * How long a message rests before it is delivered again, milliseconds, where nothing could be said about it: an engine is down, or
   * the dead letters took it not. 1 to 3,600,000; default 1,000.
   */
  readonly redeliverAfterMs?: number | undefined
  /** Who is told where `deadLetter` fails. Default: stderr. */
  readonly logger?: Pick<Logger, 'error'> | undefined
}

/** Checked. */
export class Redelivery {
  readonly pauseMs: number
  readonly #logger: Pick<Logger, 'error'>

  /** @throws {KestConfigError} */
  constructor(where: string, { redeliverAfterMs, logger = stderrLogger }: RedeliveryOptions) {
    const pauseMs = redeliverAfterMs ?? DEFAULT_PAUSE_MS
    if (!Number.isSafeInteger(pauseMs) || pauseMs < 1 || pauseMs > LONGEST_PAUSE_MS)
      throw new KestConfigError(`${where}.redeliverAfterMs: expected 1 to ${LONGEST_PAUSE_MS} milliseconds`)
    if (typeof logger?.error !== 'function') throw new KestConfigError(`${where}.logger: expected a logger`)
    this.pauseMs = pauseMs
    this.#logger = logger
  }

  /** Keeps nobody from ending. */
  async pause(): Promise<void> {
    await sleep(this.pauseMs, undefined, { ref: false })
  }

  /** That a message was refused has been said by who refused it; that it could not be put away has not. */
  tell(from: string, error: unknown): void {
    if (error instanceof KestError) return
    this.#logger.error(
      { from, err: error },
      'a message that is refused could not be put away: it comes again',
    )
  }
}
