/** Spans of one trace that may be judged. */
export const MAX_TRACE_SPANS = 1_000_000

/** Offsets of one partition, as ranges from–to. */
export type Ranges = readonly (readonly [from: number, to: number])[]

/** @param offsets ascending, each once */
export function toRanges(offsets: Iterable<number>): Ranges {
  const ranges: [number, number][] = []
  for (const offset of offsets) {
    const last = ranges.at(-1)
    if (last !== undefined && last[1] === offset - 1) last[1] = offset
    else ranges.push([offset, offset])
  }
  return ranges
}

export function* offsetsOf(ranges: Ranges): Generator<number> {
  for (const [from, to] of ranges) for (let offset = from; offset <= to; offset++) yield offset
}

/** How many there are. */
export function countOf(ranges: Ranges): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0)
}
