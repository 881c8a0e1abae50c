import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { Failure } from '../failure.js'
import type { Watch } from './watch.js'

/** What a process is started with beside its program. */
export interface Settings {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** The user that it runs as. Default the operator's own. */
  readonly user?: number
}

/** A program as a process of its own. It never outlives this process, whichever way that ends. */
export class Child {
  readonly name: string
  protected readonly watch: Watch
  readonly #child: ChildProcess
  /** How it ended: `exit code 0`. */
  readonly #ended: Promise<string>
  #mayEnd = false

  /** @param logFile where everything goes that the program prints */
  constructor(name: string, program: string, settings: Settings, logFile: string, watch: Watch) {
    this.name = name
    this.watch = watch
    this.#child = forkInto(logFile, program, settings)
    // The last resort. Where this process cannot do even that, the child notices that it is gone.
    const kill = () => this.#child.kill('SIGKILL')
    process.on('exit', kill)
    this.#ended = endOf(this.#child).then((how) => {
      process.off('exit', kill)
      if (!this.#mayEnd) watch.giveUp(new Failure(`${name} ended early (${how})${lastWords(logFile)}`))
      return how
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Lets it end in good order: when this resolves, everything is written. */
  async stop(): Promise<void> {
    this.#mayEnd = true
    if (this.#child.connected) this.#child.disconnect()
    const how = await this.watch.wait(this.#ended)
    if (how !== 'exit code 0') throw new Failure(`${this.name} did not end in good order (${how})`)
  }

  /** When this resolves, it is no more. */
  async kill(): Promise<void> {
    this.#mayEnd = true
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  protected send(message: object): void {
    this.#child.send(message, (error) => {
      if (error !== null)
        this.watch.giveUp(new Error(`${this.name} cannot be told its place`, { cause: error }))
    })
  }

  protected async receive<Message>(): Promise<Message> {
    const [message] = await this.watch.wait(once(this.#child, 'message'))
    return message as Message
  }
}

function forkInto(logFile: string, program: string, { args = [], env, user }: Settings): ChildProcess {
  const log = openSync(logFile, 'w')
  try {
    return fork(program, args, {
      env: { ...environment(), ...env },
      execArgv: [],
      stdio: ['ignore', log, log, 'ipc'],
      ...(user === undefined ? {} : { uid: user, gid: user }),
    })
  } finally {
    closeSync(log)
  }
}

/** Without settings of Node, Kest, SPIFFE and OpenTelemetry: what is shown is the same for everybody. */
function environment(): NodeJS.ProcessEnv {
  const others = /^(NODE|KEST|SPIFFE|OTEL)_/
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
  return last.length === 0 ? '' : `:\n${last.join('\n')}`
}
