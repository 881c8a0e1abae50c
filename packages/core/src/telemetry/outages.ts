import { boundedLogger } from './bounded-logger.js'
import { describeError, stackOf } from './describe-error.js'
import type { Logger } from './logger.js'
import { Period } from './period.js'
import { remedyOf } from './remedy.js'

type Details = Readonly<Record<string, unknown>>

/** What could not be had. */
export interface Failure {
  /** What fails, in words that begin a sentence. */
  readonly what: string
  /** What comes of it, in words. Default: what needs it is refused. */
  readonly effect?: string | undefined
  /** What was asked: an address, or a name of the operator's. Never a stranger's text: it tells outages apart. */
  readonly asked: string
  readonly code: string
  readonly error: unknown
  /** What else the first line says. */
  readonly details?: (() => Details) | undefined
}

interface Outage {
  readonly what: string
  readonly asked: string
  readonly code: string
  readonly since: number
  failed: number
  untold: number
  last: unknown
  failedAt: number
  worked: boolean
}

const PERIOD_MS = 10_000
/** What has neither failed nor worked for so long is not known to fail. */
const FORGOTTEN_MS = 3_600_000
/** More than these are told as one. */
const MAX_OUTAGES = 64
const OTHERS = 'others'

/**
 * Tells of what is down, however often it is asked. The same failure (code and what was asked) is one line at once, then a
 * count each ten seconds in which it failed again, all as errors; and a line, as information, when it works again: when
 * something succeeded, and nothing has failed for ten seconds.
 */
export class Outages {
  readonly #logger: Logger
  readonly #period: Period
  readonly #open = new Map<string, Outage>()

  constructor(logger: Logger, periodMs = PERIOD_MS) {
    this.#logger = boundedLogger(logger)
    this.#period = new Period(periodMs, () => this.#tell())
  }

  failed(failure: Failure): void {
    const now = performance.now()
    const known = this.#outageOf(failure)
    const outage = known ?? this.#begin(failure, now)
    const quiet = now - outage.failedAt >= this.#period.ms
    outage.failed++
    outage.untold++
    outage.last = failure.error
    outage.failedAt = now
    outage.worked = false
    if (known === undefined) this.#tellFirst(outage, failure)
    else if (quiet) this.#tellAgain(outage, now)
    this.#period.begin()
  }

  /** What was asked has answered. */
  works(asked: string): void {
    if (this.#open.size === 0) return
    const now = performance.now()
    for (const [key, outage] of this.#open) {
      if (outage.asked !== asked && outage.asked !== OTHERS) continue
      outage.worked = true
      this.#endIfOver(key, outage, now)
    }
  }

  /** Tells what was counted. What is down stays so. */
  close(): void {
    this.#period.end()
  }

  #outageOf({ code, asked }: Failure): Outage | undefined {
    const outage = this.#open.get(`${code} ${asked}`)
    if (outage !== undefined || this.#open.size < MAX_OUTAGES) return outage
    return this.#open.get(OTHERS)
  }

  #begin({ what, asked, code }: Failure, now: number): Outage {
    const counts = { since: now, failed: 0, untold: 0, last: undefined, failedAt: now, worked: false }
    const full = this.#open.size >= MAX_OUTAGES
    const outage = full
      ? { what: 'much', asked: OTHERS, code: '_OTHER', ...counts }
      : { what, asked, code, ...counts }
    this.#open.set(full ? OTHERS : `${code} ${asked}`, outage)
    return outage
  }

  #tellFirst(outage: Outage, { error, details, effect = 'what needs it is refused' }: Failure): void {
    const { what, asked, code } = outage
    outage.untold = 0
    this.#logger.error({ code, asked, ...details?.(), ...described(error) }, `${what} fails: ${effect}`)
    const stack = stackOf(error)
    if (stack !== undefined) this.#logger.debug({ code, asked, stack }, `${what} fails: where it was thrown`)
  }

  #tellAgain(outage: Outage, now: number): void {
    const { what, asked, code, since, failed, untold, last } = outage
    outage.untold = 0
    const counts = { count: untold, count_in_all: failed, seconds: seconds(now - since) }
    this.#logger.error({ code, asked, ...counts, ...described(last) }, `${what} still fails`)
  }

  #tell(): boolean {
    const now = performance.now()
    for (const [key, outage] of this.#open) {
      if (this.#endIfOver(key, outage, now)) continue
      if (outage.untold > 0) this.#tellAgain(outage, now)
    }
    return this.#open.size > 0
  }

  #endIfOver(key: string, outage: Outage, now: number): boolean {
    const { what, asked, code, since, failed, failedAt, worked } = outage
    const quietMs = now - failedAt
    if (quietMs < (worked ? this.#period.ms : FORGOTTEN_MS)) return false
    this.#open.delete(key)
    const known = { code, asked, count_in_all: failed, seconds: seconds(failedAt - since) }
    this.#logger.info(known, worked ? `${what} works again` : `${what} has not failed for an hour`)
    return true
  }
}

function described(error: unknown): Details {
  return error === undefined ? {} : { err: describeError(error), remedy: remedyOf(error) }
}

function seconds(ms: number): number {
  return Math.round(ms / 1000)
}
