import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { Failure } from '../failure.js'
import type { Watch } from './watch.js'

/** How a program is run. */
export interface ProgramOptions {
  /** For whoever watches. */
  readonly name: string
  /** A file that can be executed; a path. */
  readonly command: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** The user that it runs as; only root may choose. Default the operator's own. */
  readonly user?: number | undefined
  /** Whether it talks to the lab by messages. Default no. */
  readonly ipc?: boolean
}

/** A program as a process of its own, and leader of a process group of its own. */
export class Program {
  readonly name: string
  /** How it ended: `exit code 0`, `SIGKILL`. */
  readonly ended: Promise<string>
  readonly #child: ChildProcess
  readonly #watch: Watch
  #mayEnd = false
  #hasEnded = false

  /**
   * @param logFile where everything goes that it prints; what is there is kept
   * @param onEarlyEnd told when it ends and was not to
   */
  constructor(
    options: ProgramOptions,
    logFile: string,
    watch: Watch,
    onEarlyEnd: (failure: Failure) => void,
  ) {
    this.name = options.name
    this.#watch = watch
    this.#child = start(options, logFile)
    this.ended = endOf(this.#child).then((how) => {
      this.#hasEnded = true
      if (!this.#mayEnd) onEarlyEnd(new Failure(`${this.name} ended early (${how})${lastWords(logFile)}`))
      return how
    })
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** `undefined` when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  /** The next message of a program with `ipc`. */
  async message<T>(): Promise<T> {
    const [message] = await this.#watch.wait(once(this.#child, 'message'))
    return message as T
  }

  send(message: object): void {
    this.#child.send(message, (error) => {
      if (error !== null) this.#watch.giveUp(new Failure(`${this.name} cannot be told`, { cause: error }))
    })
  }

  /**
   * Asks it to end in good order, by SIGTERM; where that takes longer than `graceMs`, it is killed.
   * @returns how it ended
   */
  async stop(graceMs: number): Promise<string> {
    this.#mayEnd = true
    this.#signal('SIGTERM')
    const timer = setTimeout(() => this.#signal('SIGKILL'), graceMs)
    const how = await this.ended
    clearTimeout(timer)
    return how
  }

  /** It and what it has started, at once. When this resolves, it is no more. */
  async kill(): Promise<void> {
    this.#mayEnd = true
    this.#signal('SIGKILL')
    await this.ended
  }

  /** Waits for a program that ends by itself. @throws {Failure} unless it exits with 0 */
  async complete(): Promise<void> {
    this.#mayEnd = true
    const how = await this.#watch.wait(this.ended)
    if (how !== 'exit code 0') throw new Failure(`${this.name} failed (${how})`)
  }

  #signal(name: NodeJS.Signals): void {
    if (this.pid === undefined) return
    try {
      process.kill(-this.pid, name)
    } catch {
      // It is gone already.
    }
  }
}

function start(options: ProgramOptions, logFile: string): ChildProcess {
  const { command, args = [], env, user, ipc = false } = options
  const log = openSync(logFile, 'a')
  try {
    return spawn(command, args, {
      env: { ...environment(), ...env },
      detached: true,
      stdio: ['ignore', log, log, ...(ipc ? (['ipc'] as const) : [])],
      ...(user === undefined ? {} : { uid: user, gid: user }),
    })
  } finally {
    closeSync(log)
  }
}

/** Without settings of Node, Kest, SPIFFE and OpenTelemetry: a lab is the same for everybody. */
function environment(): NodeJS.ProcessEnv {
  const others = /^(NODE|KEST|SPIFFE|SPIRE|OTEL|OPA|npm)_/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !others.test(name)))
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(code === null ? `${signal}` : `exit code ${code}`))
    child.on('error', (error) => {
      if (child.pid === undefined) resolve(error.message)
    })
  })
}

/** The end of its log. What is indented, such as a stack, is for those who open the file. */
function lastWords(logFile: string): string {
  const lines = readFileSync(logFile, 'utf8').split('\n')
  const last = lines.filter((line) => /^[^\s}]/.test(line)).slice(-10)
  return `\n${[...last, `(all of it: ${logFile})`].join('\n')}`
}
