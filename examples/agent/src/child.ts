import { type ChildProcess, fork } from 'node:child_process'
import { on, once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Workload } from './names.js'
import type { Place } from './workload.js'

/** A program as a process of its own, which ends when this one does. */
export class Child {
  readonly #process: ChildProcess
  /** From the start on: what it says before anybody asks is kept. */
  readonly #messages: NodeJS.AsyncIterator<unknown[]>

  constructor(name: Workload, { socket, out }: Place, ...more: string[]) {
    const program = fileURLToPath(new URL(`${name}.js`, import.meta.url))
    this.#process = fork(program, [socket, out, ...more], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#messages = on(this.#process, 'message', { close: ['exit'] })
  }

  /** The next thing that it says. */
  async told(): Promise<string> {
    const { value, done } = await this.#messages.next()
    if (done === true) throw new Error(`${this.#process.spawnargs[1]} has ended`)
    return String(value[0])
  }

  /** When this resolves, everything is written. */
  async stop(): Promise<void> {
    const ended = once(this.#process, 'exit')
    this.#process.disconnect()
    await ended
  }
}

/** For a child: what to say to its parent, and what to do when that has enough. */
export function tell(message: string): void {
  process.send?.(message)
}

export function onStop(stop: () => Promise<void>): void {
  process.once('disconnect', () => void stop().then(() => process.exit()))
}
