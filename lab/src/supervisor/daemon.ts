import { Failure } from '../failure.js'
import type { Program, ProgramOptions } from './program.js'
import type { Supervisor } from './supervisor.js'
import { until } from './until.js'

const UP_MS = 180_000
/** Longer than a service takes to finish requests and to export what is left. */
const GRACE_MS = 20_000

export interface DaemonOptions extends ProgramOptions {
  /** Throws while it is not ready. */
  readonly check: () => Promise<void>
}

/** A server that can be started, ended, and started again at the same place. */
export class Daemon {
  readonly #options: DaemonOptions
  readonly #supervisor: Supervisor
  #program: Program | undefined

  constructor(options: DaemonOptions, supervisor: Supervisor) {
    this.#options = options
    this.#supervisor = supervisor
  }

  get name(): string {
    return this.#options.name
  }

  get pid(): number | undefined {
    return this.#program?.pid
  }

  /** When this resolves, it is ready. */
  async start(): Promise<void> {
    this.#program = this.#supervisor.spawn(this.#options)
    await this.ready()
  }

  /** @throws {Failure} when it is not ready after three minutes */
  async ready(): Promise<void> {
    const { name, check } = this.#options
    const late = (): string => `${name} is not ready after ${UP_MS / 1000} s`
    const isReady = async (): Promise<true> => {
      await check()
      return true
    }
    await until(isReady, { timeoutMs: UP_MS, late }, this.#supervisor.watch)
  }

  /** Ends it in good order, unless it has ended already. @throws {Failure} when it does not end so */
  async stop(): Promise<void> {
    if (this.#program === undefined || this.#program.hasEnded) return
    const how = await this.#program.stop(GRACE_MS)
    if (how !== 'exit code 0') throw new Failure(`${this.name} did not end in good order (${how})`)
  }

  /** As a crash would. */
  async kill(): Promise<void> {
    await this.#program?.kill()
  }
}
