import { setImmediate as turn } from 'node:timers/promises'
import type { TimeFigure, Work } from './figure.js'
import type { Measurement, Plan } from './plan.js'
import { spreadOf } from './statistics.js'

/** A turn of all sides is measured again when the process waited for a processor for more than this part of one. */
const INTERRUPTED = 0.1

/** What is added is a difference of two times: how many times longer its rounds are, for it not to drown in both. */
const ADDED_ROUNDS = 10

/** Of all turns, how many are measured again at most: a machine that is always busy is measured as it is. */
const MOST_REPEATED = 3

/**
 * Floor and subject take turns in slices of about a millisecond, so that whatever else the machine does slows both
 * alike. A round adds up many slices, and so holds its share of garbage collections, which a single slice mostly misses.
 */
export async function measureTime(figure: TimeFigure, plan: Plan): Promise<Measurement> {
  const { end, ...prepared } = await figure.prepare()
  try {
    return await measured(prepared, plan)
  } finally {
    end?.()
  }
}

async function measured(
  { floor, subject, without }: Awaited<ReturnType<TimeFigure['prepare']>>,
  plan: Plan,
): Promise<Measurement> {
  const works = without === undefined ? [floor, subject] : [floor, subject, without.floor, without.subject]
  await warmUp(works, plan)
  const each: number[] = []
  for (const work of works) each.push(await timePerRepetition(work, plan))
  // As often on either side, so that the ratio is of the same work.
  const repeat = Math.max(1, Math.round(plan.sliceMs / Math.max(...each)))
  const roundMs = plan.roundMs * (without === undefined ? 1 : ADDED_ROUNDS)
  const turns = Math.max(1, Math.round(roundMs / (repeat * sum(each))))

  const floors: number[] = []
  const subjects: number[] = []
  for (let round = 0; round < plan.rounds; round++) {
    const sums = works.map(() => 0)
    let again = turns * MOST_REPEATED
    for (let turn = 0; turn < turns; ) {
      const elapsed: Elapsed[] = []
      // Who comes first alternates.
      for (const at of rotated(works.length, round + turn)) {
        elapsed[at] = await time(works[at] as Work, repeat)
      }
      if (plan.clock === 'wall' && elapsed.some(isInterrupted) && again-- > 0) continue
      elapsed.forEach((one, at) => {
        sums[at] = (sums[at] as number) + one[plan.clock]
      })
      turn++
    }
    const [floorMs = 0, subjectMs = 0, floorWithout = 0, subjectWithout = 0] = sums
    floors.push(((floorMs - floorWithout) * 1000) / (repeat * turns))
    subjects.push(((subjectMs - subjectWithout) * 1000) / (repeat * turns))
  }
  const [subjectSpread, floorSpread] = [spreadOf(subjects), spreadOf(floors)]
  return {
    // Of differences a single round says little, where the one below is next to nothing.
    ratio:
      without === undefined
        ? spreadOf(subjects.map((value, round) => value / (floors[round] as number)))
        : {
            median: subjectSpread.median / floorSpread.median,
            p10: subjectSpread.p10 / floorSpread.p90,
            p90: subjectSpread.p90 / floorSpread.p10,
          },
    subject: subjectSpread,
    floor: floorSpread,
  }
}

function rotated(length: number, by: number): number[] {
  return Array.from({ length }, (_, n) => (n + by) % length)
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/** Milliseconds, by both clocks. */
type Elapsed = { readonly [Clock in Plan['clock']]: number }

function isInterrupted({ wall, cpu }: Elapsed): boolean {
  return wall - cpu > INTERRUPTED * wall
}

/**
 * `repeat` repetitions, one after the other. Synchronous work is not made to wait.
 *
 * The event loop turns before, as it does between requests: what Node lets go of only then would pile up, and be paid for in
 * collections of garbage that no server has.
 */
async function time(work: Work, repeat: number): Promise<Elapsed> {
  await turn()
  const used = process.cpuUsage()
  const start = performance.now()
  for (let i = 0; i < repeat; i++) {
    const result = work()
    if (result instanceof Promise) await result
  }
  const wall = performance.now() - start
  const { user, system } = process.cpuUsage(used)
  return { wall, cpu: (user + system) / 1000 }
}

async function warmUp(works: readonly Work[], { warmUpMs }: Plan): Promise<void> {
  const end = performance.now() + warmUpMs
  do {
    for (const work of works) await time(work, 1)
  } while (performance.now() < end)
}

async function timePerRepetition(work: Work, { sliceMs }: Plan): Promise<number> {
  let repeat = 1
  for (;;) {
    const { cpu } = await time(work, repeat)
    if (cpu >= sliceMs) return cpu / repeat
    repeat *= 2
  }
}
