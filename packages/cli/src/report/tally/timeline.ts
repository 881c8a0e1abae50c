import type { TraceReport, Verdict } from '@kest/audit'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** How wide a bucket may be. */
const WIDTHS = [1, 5, 15, 60, 300, 900, 3_600, 21_600, 86_400, 604_800].map((seconds) => seconds * SECOND)
/** Buckets with something in them: of more, each becomes wider. */
const MAX_BUCKETS = 20_000
/** What claims to be older, or of the future, is counted apart: one signer with a wrong clock would flatten all else. */
const OLDEST = 10 * 365 * DAY
const AHEAD = HOUR
/** Columns that are shown; and the part of all traces on either side that may be left out of them, where the rest then has so much more room. */
const COLUMNS = 60
const TAIL = 0.005
const MORE_ROOM = 4

/** Traces of some time. */
export interface Bucket {
  /** Its beginning, milliseconds since the epoch. */
  readonly at: number
  readonly verdicts: Record<Verdict, number>
  denials: number
}

/** Traces by the time of their first entry, as its signer states it. */
export interface Timeline {
  /** Without gaps; empty where no trace has a time. */
  readonly columns: readonly Bucket[]
  readonly width: number
  readonly earlier: number
  readonly later: number
  /** Traces without an entry that holds. */
  readonly untimed: number
}

export class TimelineTally {
  readonly #now: number
  #level = 0
  #buckets = new Map<number, Bucket>()
  #earlier = 0
  #later = 0
  #untimed = 0

  /** @param now milliseconds since the epoch */
  constructor(now: number) {
    this.#now = now
  }

  add({ entries, verdict, denialCount }: TraceReport): void {
    let first = Number.POSITIVE_INFINITY
    for (const { status, source, timestampMs } of entries)
      if (status !== 'failed' && source !== 'foreign') first = Math.min(first, timestampMs)
    if (first === Number.POSITIVE_INFINITY) this.#untimed++
    else if (first > this.#now + AHEAD) this.#later++
    else if (first < this.#now - OLDEST) this.#earlier++
    else {
      const bucket = bucketAt(this.#buckets, startOf(first, this.#width))
      bucket.verdicts[verdict]++
      bucket.denials += denialCount
      if (this.#buckets.size > MAX_BUCKETS && this.#level < WIDTHS.length - 1)
        this.#buckets = merged(this.#buckets, WIDTHS[++this.#level] as number)
    }
  }

  end(): Timeline {
    const sorted = [...this.#buckets.values()].sort((a, b) => a.at - b.at)
    const all = sorted.reduce((sum, one) => sum + sizeOf(one), 0)
    const [from, to] = inner(sorted, all * TAIL)
    const shown = sorted.slice(from, to)
    const [first, last] = [shown[0]?.at ?? 0, shown.at(-1)?.at ?? 0]
    const width =
      WIDTHS.slice(this.#level).find((one) => startOf(last, one) - startOf(first, one) < COLUMNS * one) ??
      widest(first, last)
    const buckets = merged(new Map(shown.map((one) => [one.at, one])), width)
    const columns: Bucket[] = []
    if (shown.length > 0)
      for (let at = startOf(first, width); at <= startOf(last, width); at += width)
        columns.push(bucketAt(buckets, at))
    const count = (some: readonly Bucket[]): number => some.reduce((sum, one) => sum + sizeOf(one), 0)
    return {
      columns,
      width,
      earlier: this.#earlier + count(sorted.slice(0, from)),
      later: this.#later + count(sorted.slice(to)),
      untimed: this.#untimed,
    }
  }

  get #width(): number {
    return WIDTHS[this.#level] as number
  }
}

/** Which of them are shown: all, or those without a few that stand far apart. */
function inner(sorted: readonly Bucket[], tail: number): readonly [from: number, to: number] {
  const from = edge(sorted, tail)
  const to = sorted.length - edge(sorted.toReversed(), tail)
  const span = (a: number, b: number): number => (sorted[b - 1]?.at ?? 0) - (sorted[a]?.at ?? 0)
  return span(0, sorted.length) > MORE_ROOM * Math.max(DAY, span(from, to)) ? [from, to] : [0, sorted.length]
}

/** Buckets at the beginning that hold no more than that together. */
function edge(sorted: readonly Bucket[], most: number): number {
  let sum = 0
  for (const [index, one] of sorted.entries()) {
    sum += sizeOf(one)
    if (sum > most) return index
  }
  return 0
}

function sizeOf({ verdicts }: Bucket): number {
  return verdicts.verified + verdicts.incomplete + verdicts.broken + verdicts.empty
}

function merged(buckets: ReadonlyMap<number, Bucket>, width: number): Map<number, Bucket> {
  const wider = new Map<number, Bucket>()
  for (const { at, verdicts, denials } of buckets.values()) {
    const into = bucketAt(wider, startOf(at, width))
    for (const verdict of ['verified', 'incomplete', 'broken', 'empty'] as const)
      into.verdicts[verdict] += verdicts[verdict]
    into.denials += denials
  }
  return wider
}

function bucketAt(buckets: Map<number, Bucket>, at: number): Bucket {
  const known = buckets.get(at)
  if (known !== undefined) return known
  const bucket: Bucket = { at, verdicts: { verified: 0, incomplete: 0, broken: 0, empty: 0 }, denials: 0 }
  buckets.set(at, bucket)
  return bucket
}

function startOf(time: number, width: number): number {
  return Math.floor(time / width) * width
}

/** Weeks, as many as it takes. */
function widest(first: number, last: number): number {
  return 7 * DAY * Math.ceil((last - first + 7 * DAY) / (7 * DAY * COLUMNS))
}
