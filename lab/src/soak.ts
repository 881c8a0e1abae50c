import { pathToFileURL } from 'node:url'
import type { Arguments } from './arguments.js'
import { CHAIN } from './chain.js'
import { describeLoad, sendLoad } from './client/load.js'
import { Failure } from './failure.js'
import { programFile } from './files.js'
import type { Lab } from './lab.js'
import { type MemoryTrend, memorySamples, trendOf } from './numbers/memory.js'
import type { Report } from './report.js'

/** What the services are started with, for their memory to be watched. */
export const MEMORY_PROBE = [
  '--expose-gc',
  '--import',
  pathToFileURL(programFile('numbers/memory-probe')).href,
]

const CAPACITY_SECONDS = 10
const SHARE = 0.7
/** What is shorter shows how a service warms up, and no leak. */
const TREND_SECONDS = 60
/** Growth of the heap, from the first quarter to the last, that is no leak: caches fill. */
const GROWTH = 1.2
const GROWTH_MB = 5

/**
 * Load at 70 % of what the chain can take, for as long as is asked for.
 *
 * @returns how many requests were answered
 * @throws {Failure} when one of them failed, or the heap of a service grew in a minute or more
 */
export async function soak(
  lab: Lab,
  { soakSeconds, concurrency }: Arguments,
  report: Report,
  progress: (text: string) => void,
): Promise<number> {
  const { urls, watch } = lab
  const load = { url: urls.hop1, concurrency, progress, signal: watch.signal }
  const capacity = await sendLoad({ ...load, amount: { seconds: Math.min(CAPACITY_SECONDS, soakSeconds) } })
  report.say(`\nCapacity: ${describeLoad(capacity)}`)
  const rate = SHARE * capacity.perSecond
  const since = Date.now()
  const result = await sendLoad({ ...load, amount: { seconds: soakSeconds }, rate })
  report.say(`${soakSeconds} s at ${rate.toFixed(0)} per second: ${describeLoad(result)}`)
  const memory = CHAIN.map((name) => ({ name, ...trendOf(memorySamples(lab.logOf(name), since)) }))
  for (const { name, heap, rss } of memory) {
    report.say(`${name}: heap ${arrow(heap)} MB, resident ${arrow(rss)} MB (first quarter → last)`)
  }
  report.fact('soak', { capacity, rate, result, memory })
  const failed = capacity.failed + result.failed
  if (failed > 0)
    throw new Failure(`${failed} requests failed: ${[...capacity.failures, ...result.failures].join('; ')}`)
  const grown = memory.filter(hasGrown).map(({ name }) => name)
  if (soakSeconds >= TREND_SECONDS && grown.length > 0)
    throw new Failure(`the heap of ${grown.join(', ')} grew`)
  return capacity.requests + result.requests
}

function hasGrown({ heap: [first, last] }: MemoryTrend): boolean {
  return last > GROWTH * first && last > first + GROWTH_MB
}

function arrow([first, last]: readonly [number, number]): string {
  return `${first.toFixed(1)} → ${last.toFixed(1)}`
}
