import { setTimeout as wait } from 'node:timers/promises'
import { KestError } from '@kest/core'
import { Gone, type Log, type LogSlice, type Member } from '../log/log.js'

/** Without anything to read, how long it is waited before it is looked again: twice as long each time, up to a bound. */
const IDLE_MS = 100
const MAX_IDLE_MS = 500
/** After something that may pass. */
const RETRY_MS = 500
const COMMIT_MS = 1_000

/** What a stage does with one partition. It is made anew after every failure: what it holds may be half done. */
export interface Worker {
  /** Handles what was read, and what time has made due. */
  take(slice: LogSlice): Promise<void>
  /** Before this, everything is done for good. */
  readonly position: number
  /** Traces that are open, of what has any. */
  readonly open?: number
  close(): Promise<void>
}

/** How far the work on a partition is. */
export interface Progress {
  /** Records that are not read yet. */
  readonly lag: number
  /** `null` where nothing is ever open. */
  readonly open: number | null
}

export interface StageOptions {
  readonly log: Log
  readonly member: Member
  readonly topic: string
  /**
   * @param from where reading begins
   * @param signal aborted when it is of no use any more: what it then throws is nobody's
   */
  readonly open: (partition: number, from: number, signal: AbortSignal) => Promise<Worker>
  /** Told of a partition that is another's from now on. Default: nobody. */
  readonly left?: (partition: number) => void
  /** Told of records that retention took before they were read. */
  readonly lost: (partition: number, from: number, to: number) => Promise<void>
  /** Told of what may pass, and is tried again. */
  readonly failed: (error: Error) => void
}

/**
 * A consumer group's member at work: each partition that is its own is read in order by a worker of its own, and committed behind what
 * that has done for good. What fails is done again from there, here or elsewhere.
 */
export class Stage {
  readonly #options: StageOptions
  #closing = false
  readonly #running = new Map<number, { readonly stop: AbortController; readonly done: Promise<void> }>()
  #fail: (error: Error) => void = () => {}
  /** Rejects for what nobody can do again. */
  readonly failure: Promise<never>

  constructor(options: StageOptions) {
    this.#options = options
    this.failure = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.failure.catch(() => {})
  }

  /** @throws {KestConfigError} when it may not */
  async start(): Promise<void> {
    await this.#options.member.join((partitions, anew) => this.#assign(partitions, anew))
  }

  /** Of each partition at work. */
  readonly progress: Map<number, Progress> = new Map()

  /** Partitions at work. */
  get partitions(): readonly number[] {
    return [...this.#running.keys()].sort((a, b) => a - b)
  }

  /** Stops where it is, and commits. Idempotent. */
  async close(): Promise<void> {
    this.#closing = true
    for (const { stop } of this.#running.values()) stop.abort()
    await Promise.all([...this.#running.values()].map(({ done }) => done))
    await this.#options.member.leave()
  }

  #assign(partitions: readonly number[], anew: boolean): void {
    const before = new Map(this.#running)
    for (const [partition, { stop }] of before)
      if (anew || !partitions.includes(partition)) {
        stop.abort()
        this.#running.delete(partition)
        if (!partitions.includes(partition)) this.#options.left?.(partition)
      }
    if (this.#closing) return
    for (const partition of partitions) {
      if (this.#running.has(partition)) continue
      // Its own alone: of a signal of several, each time that it is asked all of them are.
      const stop = new AbortController()
      // Nobody begins before whoever was at work here has ended.
      const last = before.get(partition)?.done ?? Promise.resolve()
      this.#running.set(partition, { stop, done: last.then(() => this.#run(partition, stop.signal)) })
    }
  }

  async #run(partition: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#work(partition, signal)
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof KestError || !(error instanceof Error) || isDefect(error)) {
          this.#fail(error as Error)
          return
        }
        this.#options.failed(error)
        await wait(RETRY_MS, undefined, { signal }).catch(() => {})
      }
    }
  }

  async #work(partition: number, signal: AbortSignal): Promise<void> {
    const { log, member, topic } = this.#options
    const { start, end } = await log.bounds(topic, partition)
    const committed = await member.committed(partition)
    let from = Math.max(committed ?? start, 0)
    let done = from
    // To open may take minutes: how much waits meanwhile is seen.
    this.progress.set(partition, { lag: Math.max(0, end - from), open: null })
    const worker = await this.#open(partition, from, signal)
    try {
      let committedAt = performance.now()
      let idleMs = IDLE_MS
      while (!signal.aborted) {
        const slice = await this.#read(partition, from)
        if (signal.aborted) break
        await worker.take(slice)
        from = slice.next
        this.progress.set(partition, { lag: Math.max(0, slice.end - from), open: worker.open ?? null })
        if (worker.position > done && performance.now() - committedAt >= COMMIT_MS) {
          await member.commit(partition, worker.position)
          done = worker.position
          committedAt = performance.now()
        }
        if (slice.records.length > 0) idleMs = IDLE_MS
        else {
          await wait(idleMs, undefined, { signal }).catch(() => {})
          idleMs = Math.min(2 * idleMs, MAX_IDLE_MS)
        }
      }
      if (worker.position > done && this.#closing) await member.commit(partition, worker.position)
    } finally {
      this.progress.delete(partition)
      await worker.close()
    }
  }

  async #open(partition: number, from: number, signal: AbortSignal): Promise<Worker> {
    try {
      return await this.#options.open(partition, from, signal)
    } catch (error) {
      this.progress.delete(partition)
      throw error
    }
  }

  async #read(partition: number, from: number): Promise<LogSlice> {
    const { log, topic, lost } = this.#options
    try {
      return await log.read(topic, partition, from)
    } catch (error) {
      if (!(error instanceof Gone)) throw error
      const { start, end } = await log.bounds(topic, partition)
      const next = from < start ? start : end
      await lost(partition, from, next)
      return { records: [], bytes: 0, next, end }
    }
  }
}

/** Not about a log, but about the code that reads it. */
function isDefect(error: Error): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError
}
