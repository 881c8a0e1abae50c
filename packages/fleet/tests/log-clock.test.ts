import { describe, expect, it } from 'vitest'
import { LogClock } from '../src/judge/log-clock.js'

const DAY_MS = 86_400_000
const NOW = 1_790_000_000_000

/** A log that gets a record every 100 ms, whose times begin at `from`, and is read to its end each time. */
function fed(clock: LogClock, passed: { ms: number }, from: number, ms: number): number {
  let now = 0
  for (let at = 0; at < ms; at += 100) {
    passed.ms += 100
    clock.see(from + at)
    now = clock.now(true)
  }
  return now
}

describe('the time of a log', () => {
  it('K-FLEET goes on where a clock was days ahead and is set back, however steadily records come', () => {
    const passed = { ms: 5_000 }
    const clock = new LogClock(() => passed.ms)
    const ahead = clock.see(NOW + 10 * DAY_MS)
    expect(fed(clock, passed, NOW, 60_000)).toBeGreaterThanOrEqual(ahead + 60_000)
  })

  it('K-FLEET goes on for who takes over from one whose clock was days ahead', () => {
    const passed = { ms: 5_000 }
    const known = NOW + 10 * DAY_MS
    const clock = new LogClock(() => passed.ms, known)
    expect(clock.see(NOW)).toBe(NOW)
    expect(fed(clock, passed, NOW, 60_000)).toBeGreaterThanOrEqual(known + 59_000)
  })

  it('K-FLEET is that of its records while it is read on, and where it ends so much later as has passed since the last', () => {
    const passed = { ms: 0 }
    const clock = new LogClock(() => passed.ms, NOW + 700)
    clock.see(NOW)
    passed.ms += DAY_MS
    expect(clock.now(false)).toBe(NOW)
    clock.see(NOW + 500)
    passed.ms += 50
    expect(clock.now(true)).toBe(NOW + 750)
    clock.see(NOW + 2_000)
    passed.ms += 50
    expect(clock.now(true)).toBe(NOW + 2_050)
    clock.see(NOW + 1_000)
    expect(clock.now(true)).toBe(NOW + 2_050)
  })
})
