import { boundedLogger } from './bounded-logger.js'
import type { Logger } from './logger.js'
import { Period } from './period.js'

type Details = Readonly<Record<string, unknown>>

/** What tells kinds of refusals apart: few, and never a stranger's text. It is part of each line. */
export interface Kind {
  readonly code?: string
  readonly operation?: string
  readonly level?: 'debug' | 'warn' | 'error'
  readonly message: string
}

interface Counted {
  readonly kind: Kind
  told: number
  untold: number
}

const PERIOD_MS = 10_000
/** Lines in a period: of one kind, and of all. The first of each kind is told in any case. */
const MAX_LINES = { kind: 10, all: 100 } as const
/** More than these are counted as one. */
const MAX_KINDS = 64
const OTHERS: Kind = { message: 'refusals of other kinds' }

/**
 * Tells of refusals, which strangers can cause as often as they like: ten of a kind in ten seconds, each in full; how many
 * more there were is said when these are over.
 */
export class Refusals {
  readonly #logger: Logger
  readonly #period: Period
  readonly #kinds = new Map<string, Counted>()
  #told = 0

  constructor(logger: Logger, periodMs = PERIOD_MS) {
    this.#logger = boundedLogger(logger)
    this.#period = new Period(periodMs, () => this.#tell())
  }

  /** @param details what the line says beside the kind; asked for lines that are written alone */
  refused(kind: Kind, details: () => Details): void {
    const counted = this.#countedOf(kind)
    this.#period.begin()
    if (counted.told >= (this.#told < MAX_LINES.all ? MAX_LINES.kind : 1)) {
      counted.untold++
      return
    }
    counted.told++
    this.#told++
    const { level = 'warn', message, ...known } = kind
    this.#logger[level]({ ...known, ...details() }, message)
  }

  /** Tells what was counted. */
  close(): void {
    this.#period.end()
  }

  #countedOf(kind: Kind): Counted {
    const key = `${kind.code} ${kind.message} ${kind.operation}`
    const known = this.#kinds.get(key)
    if (known !== undefined) return known
    if (this.#kinds.size >= MAX_KINDS && kind !== OTHERS) return this.#countedOf(OTHERS)
    const counted = { kind, told: 0, untold: 0 }
    this.#kinds.set(key, counted)
    return counted
  }

  #tell(): boolean {
    const counted = [...this.#kinds.values()]
    this.#kinds.clear()
    this.#told = 0
    for (const { kind, untold } of counted) {
      if (untold === 0) continue
      const { level = 'warn', message, ...known } = kind
      this.#logger[level]({ ...known, count: untold }, `${message}: so many more`)
    }
    return false
  }
}
