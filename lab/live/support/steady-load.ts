import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { onTestFinished } from 'vitest'
import { RESULT } from '../../src/chain.js'
import { ask, codeOf } from '../../src/client/requests.js'
import { until } from '../../src/supervisor/until.js'
import type { Watch } from '../../src/supervisor/watch.js'

/** Who is asked, and how. */
export interface Pace {
  readonly url: string
  readonly watch: Watch
  /** What the items are called. Default `steady`. */
  readonly name?: string
  /** Default 3, each of which pauses for 25 ms. */
  readonly clients?: number
  readonly pauseMs?: number
}

/** What a client saw of one request. */
export interface Outcome {
  readonly item: string
  /** By `performance.now()`. */
  readonly begun: number
  readonly ended: number
  /** `null` for 200 and the answer of the whole chain. */
  readonly code: string | null
  /** What is neither that nor an error with a code. */
  readonly unclear: string | null
}

/** Some clients that ask, each time for another item, wait a moment, and ask again. */
export class SteadyLoad {
  readonly outcomes: Outcome[] = []
  /** When those began that are under way. */
  readonly #underWay = new Set<number>()
  readonly #pace: Pace
  readonly #done: Promise<unknown>
  #stopped = false
  #next = 0

  constructor(pace: Pace) {
    this.#pace = pace
    this.#done = Promise.all(Array.from({ length: pace.clients ?? 3 }, () => this.#run()))
    onTestFinished(() => this.stop())
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }

  /** Items whose client got the answer of the whole chain. */
  get answered(): readonly string[] {
    return this.outcomes.filter(isAnswered).map(({ item }) => item)
  }

  /** Until one that ended later than `since` ended with a code. */
  async untilSeen(code: string, since: number, timeoutMs: number): Promise<void> {
    const isSeen = (): boolean => this.outcomes.some((one) => one.ended > since && one.code === code)
    await this.untilTrue(`a client sees ${code}`, isSeen, timeoutMs)
  }

  /**
   * Until `count` that began later than now were answered, with no error among the last `count`, and none is under way that
   * began before.
   */
  async untilWell(count: number, timeoutMs: number): Promise<void> {
    const now = performance.now()
    const isWell = (): boolean => {
      const last = this.outcomes.filter(({ begun }) => begun > now).slice(-count)
      return (
        last.length === count && last.every(isAnswered) && [...this.#underWay].every((begun) => begun > now)
      )
    }
    await this.untilTrue(`${count} requests are answered`, isWell, timeoutMs)
  }

  /** Until something holds that is none of a request's. */
  async untilTrue(what: string, isSo: () => boolean, timeoutMs: number): Promise<void> {
    const late = (): string =>
      `${what}: not after ${timeoutMs / 1000} s; last: ${JSON.stringify(this.outcomes.slice(-5))}`
    await until(() => (isSo() ? true : undefined), { timeoutMs, late }, this.#pace.watch)
  }

  async #run(): Promise<void> {
    const { url, watch, name = 'steady', pauseMs = 25 } = this.#pace
    while (!this.#stopped && !watch.signal.aborted) {
      const item = `${name}-${this.#next++}`
      const begun = performance.now()
      this.#underWay.add(begun)
      const seen = await ask(url, item, watch).then(
        ({ status, body }) => {
          if (status === 200 && isDeepStrictEqual(body, RESULT)) return { code: null, unclear: null }
          const code = codeOf(body)
          const unclear = status >= 400 && code !== null ? null : `${status} ${JSON.stringify(body)}`
          return { code, unclear }
        },
        (error) => ({ code: null, unclear: String(error) }),
      )
      this.#underWay.delete(begun)
      this.outcomes.push({ item, begun, ended: performance.now(), ...seen })
      await sleep(pauseMs)
    }
  }
}

function isAnswered({ code, unclear }: Outcome): boolean {
  return code === null && unclear === null
}
