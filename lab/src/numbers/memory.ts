import { readFileSync } from 'node:fs'
import { median } from './statistics.js'

/** How a line of the memory probe begins. */
export const MEMORY_LINE = 'lab-memory '

/** Bytes that a process holds. */
export interface MemorySample {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly rss: number
  /** What is used of the heap right after a collection. */
  readonly heap: number
}

/** Medians, in megabytes, of the first and of the last quarter of a time. */
export interface MemoryTrend {
  readonly heap: readonly [first: number, last: number]
  readonly rss: readonly [first: number, last: number]
}

/** What a service has said in its log since a moment. */
export function memorySamples(logFile: string, since: number): MemorySample[] {
  return readFileSync(logFile, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(MEMORY_LINE))
    .map((line) => JSON.parse(line.slice(MEMORY_LINE.length)) as MemorySample)
    .filter(({ at }) => at >= since)
}

/** @throws {Error} for fewer than four samples */
export function trendOf(samples: readonly MemorySample[]): MemoryTrend {
  const quarter = Math.floor(samples.length / 4)
  if (quarter === 0) throw new Error(`${samples.length} samples of memory show no trend`)
  const ends = [samples.slice(0, quarter), samples.slice(-quarter)] as const
  const of = (pick: (sample: MemorySample) => number): readonly [number, number] => [
    median(ends[0].map(pick)),
    median(ends[1].map(pick)),
  ]
  return { heap: of(({ heap }) => heap / 1e6), rss: of(({ rss }) => rss / 1e6) }
}
