import { setImmediate as turn } from 'node:timers/promises'
import type { TimeFigure, Work } from './figure.js'
import type { Measurement, Plan } from './plan.js'
import { spreadOf } from './statistics.js'

/** A pair of slices is measured again when the process waited for a processor for more than this part of one. */
const INTERRUPTED = 0.1

/** Of all pairs, how many are measured again at most: a machine that is always busy is measured as it is. */
const MOST_REPEATED = 3

/**
 * Floor and subject take turns in slices of about a millisecond, so that whatever else the machine does slows both
 * alike. A round adds up many slices, and so holds its share of garbage collections, which a single slice mostly misses.
 */
export async function measureTime(figure: TimeFigure, plan: Plan): Promise<Measurement> {
  const { floor, subject } = await figure.prepare()
  await warmUp([floor, subject], plan)
  const floorMs = await timePerRepetition(floor, plan)
  const subjectMs = await timePerRepetition(subject, plan)
  // As often on either side, so that the ratio is of the same work.
  const repeat = Math.max(1, Math.round(plan.sliceMs / Math.max(floorMs, subjectMs)))
  const pairs = Math.max(1, Math.round(plan.roundMs / (repeat * (floorMs + subjectMs))))

  const floors: number[] = []
  const subjects: number[] = []
  for (let round = 0; round < plan.rounds; round++) {
    const sums = { floor: 0, subject: 0 }
    let again = pairs * MOST_REPEATED
    for (let pair = 0; pair < pairs; ) {
      // Who comes first alternates.
      const [first, second] = (round + pair) % 2 === 0 ? [floor, subject] : [subject, floor]
      const one = await time(first, repeat)
      const other = await time(second, repeat)
      if (plan.clock === 'wall' && (isInterrupted(one) || isInterrupted(other)) && again-- > 0) continue
      sums.floor += (first === floor ? one : other)[plan.clock]
      sums.subject += (first === floor ? other : one)[plan.clock]
      pair++
    }
    floors.push((sums.floor * 1000) / (repeat * pairs))
    subjects.push((sums.subject * 1000) / (repeat * pairs))
  }
  return {
    ratio: spreadOf(subjects.map((value, round) => value / (floors[round] as number))),
    subject: spreadOf(subjects),
    floor: spreadOf(floors),
  }
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
