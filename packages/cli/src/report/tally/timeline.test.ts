import type { TraceReport } from '@kest/audit'
import { describe, expect, it } from 'vitest'
import { type Timeline, TimelineTally } from './timeline.js'

const NOW = Date.UTC(2026, 5, 1)
const HOUR = 3_600_000

function reportAt(timestampMs: number, verdict = 'verified', status = 'verified'): TraceReport {
  return { verdict, denialCount: 0, entries: [{ status, timestampMs }] } as unknown as TraceReport
}

function timelineOf(...reports: readonly TraceReport[]): Timeline {
  const tally = new TimelineTally(NOW)
  for (const one of reports) tally.add(one)
  return tally.end()
}

function all({ columns, earlier, later, untimed }: Timeline): number {
  const counts = columns.flatMap(({ verdicts }) => Object.values(verdicts))
  return counts.reduce((sum, one) => sum + one, earlier + later + untimed)
}

describe('TimelineTally', () => {
  it('has columns without gaps, each trace in one', () => {
    const timeline = timelineOf(...Array.from({ length: 48 }, (_, n) => reportAt(NOW - n * HOUR)))
    expect(timeline.width).toBe(HOUR)
    expect(timeline.columns).toHaveLength(48)
    expect(timeline.columns.map(({ verdicts }) => verdicts.verified)).toEqual(new Array(48).fill(1))
  })

  it('is not made flat by a few that claim to be of another time, and counts them', () => {
    const usual = Array.from({ length: 1_000 }, (_, n) => reportAt(NOW - (n % 60) * HOUR))
    const odd = [0, 2 ** 53 - 1, NOW + 365 * 24 * HOUR, NOW - 4_000 * 24 * HOUR, NOW - 3_000 * 24 * HOUR]
    const timeline = timelineOf(...usual, ...odd.map((at) => reportAt(at)))
    expect(timeline).toMatchObject({ width: HOUR, earlier: 3, later: 2 })
    expect(all(timeline)).toBe(1_005)
  })

  it('has a few columns, whatever times there are', () => {
    const reports = Array.from({ length: 50_000 }, (_, n) => reportAt(NOW - n * 5_987_123))
    const timeline = timelineOf(...reports)
    expect(timeline.columns.length).toBeLessThanOrEqual(61)
    expect(all(timeline)).toBe(50_000)
  })

  it('knows no time of traces without an entry that holds, and of none draws nothing', () => {
    expect(timelineOf(reportAt(NOW, 'broken', 'failed'))).toMatchObject({ columns: [], untimed: 1 })
    expect(timelineOf()).toMatchObject({ columns: [], earlier: 0, later: 0, untimed: 0 })
  })
})
