import { createHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { RESULT } from '../chain.js'

/** How much is asked of a chain: so many requests, or for so long. */
export interface Load {
  readonly url: string
  /** Requests under way at once, each on a connection of its own. */
  readonly concurrency: number
  readonly amount: { readonly requests: number } | { readonly seconds: number }
  /** So many per second. Default as many as the chain takes. */
  readonly rate?: number
  /** Told every five seconds how far it has come. */
  readonly progress?: (text: string) => void
  /** Ends it early: what was done until then is what comes out. */
  readonly signal: AbortSignal
}

/** What came of it. */
export interface LoadResult {
  readonly requests: number
  /** No answer, another status than 200, or another body than the chain's. */
  readonly failed: number
  /** What went wrong, each kind once. At most ten. */
  readonly failures: readonly string[]
  readonly seconds: number
  readonly perSecond: number
  /** Milliseconds. At a given rate from the moment when a request was due, not from when there was room for it. */
  readonly latency: Latency
}

export interface Latency {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
}

const EXPECTED = JSON.stringify(RESULT)
const TIMEOUT_MS = 30_000
const PROGRESS_MS = 5_000

/** Sends requests, each for an item of its own, and looks at every answer. */
export async function sendLoad({
  url,
  concurrency,
  amount,
  rate,
  progress,
  signal,
}: Load): Promise<LoadResult> {
  const pool = new Pool(url, { connections: concurrency, pipelining: 1, headersTimeout: TIMEOUT_MS })
  const latencies = createHistogram()
  const failures = new Set<string>()
  const start = performance.now()
  const end = 'seconds' in amount ? start + amount.seconds * 1000 : Number.POSITIVE_INFINITY
  const most = 'requests' in amount ? amount.requests : Number.POSITIVE_INFINITY
  let begun = 0
  let failed = 0

  async function one(index: number): Promise<void> {
    const due = rate === undefined ? performance.now() : start + (index * 1000) / rate
    const early = due - performance.now()
    if (early > 1) await sleep(early)
    const failure = await fault(pool, `/?item=load-${index}`)
    latencies.record(Math.max(1, Math.round((performance.now() - due) * 1000)))
    if (failure === null) return
    failed++
    if (failures.size < 10) failures.add(failure)
  }
  async function worker(): Promise<void> {
    while (begun < most && performance.now() < end && !signal.aborted) await one(begun++)
  }
  const telling = setInterval(() => progress?.(`${begun} requests, ${failed} failed`), PROGRESS_MS)
  await Promise.all(Array.from({ length: concurrency }, worker))
  clearInterval(telling)
  const seconds = (performance.now() - start) / 1000
  await pool.close()
  const at = (percentile: number): number => latencies.percentile(percentile) / 1000
  return {
    requests: begun,
    failed,
    failures: [...failures],
    seconds,
    perSecond: begun / seconds,
    latency: { p50: at(50), p90: at(90), p99: at(99), max: latencies.max / 1000 },
  }
}

/** In one line. */
export function describeLoad({ perSecond, latency: { p50, p99, max }, failed }: LoadResult): string {
  const ms = (value: number): string => `${value.toFixed(1)} ms`
  return `${perSecond.toFixed(0)} per second; half of them within ${ms(p50)}, 99 of 100 within ${ms(p99)}, all within ${ms(max)}; ${failed} failed`
}

/** Why an answer is not the chain's; `null` when it is. */
async function fault(pool: Pool, path: string): Promise<string | null> {
  try {
    const { statusCode, body } = await pool.request({ method: 'GET', path })
    const text = await body.text()
    return statusCode === 200 && text === EXPECTED ? null : `${statusCode} ${text.slice(0, 200)}`
  } catch (error) {
    return String(error)
  }
}
