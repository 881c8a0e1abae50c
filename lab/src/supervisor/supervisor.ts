import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Failure } from '../failure.js'
import { programFile } from '../files.js'
import { Program, type ProgramOptions } from './program.js'
import type { WardenMessage } from './warden-messages.js'
import type { Watch } from './watch.js'

/** Starts programs, and sees to it that none of them outlives the lab, whichever way that ends. */
export class Supervisor {
  readonly watch: Watch
  /** What is done when a program ends by itself. Default: the lab gives up. */
  onEarlyEnd: (failure: Failure) => void
  readonly #logs: string
  readonly #warden: ChildProcess
  readonly #programs = new Set<Program>()
  #over = false

  private constructor(logs: string, warden: ChildProcess, watch: Watch) {
    this.watch = watch
    this.onEarlyEnd = (failure) => watch.giveUp(failure)
    this.#logs = logs
    this.#warden = warden
  }

  /**
   * When this resolves, the warden is there, who ends what this process cannot.
   *
   * @param logs folder for what programs print
   * @param folder that is removed when the lab is over
   */
  static async start(logs: string, folder: string, watch: Watch): Promise<Supervisor> {
    const warden = spawn(process.execPath, [programFile('supervisor/warden'), folder], {
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    await once(warden, 'message')
    return new Supervisor(logs, warden, watch)
  }

  /** @throws {Failure} when the lab is over */
  spawn(options: ProgramOptions): Program {
    if (this.#over) throw new Failure(`${options.name} was not started: the lab is over`)
    const onEarlyEnd = (failure: Failure): void => this.onEarlyEnd(failure)
    const program = new Program(options, this.logOf(options.name), this.watch, onEarlyEnd)
    const { pid } = program
    if (pid !== undefined) {
      this.#tell({ group: pid, ended: false })
      this.#programs.add(program)
      void program.ended.then(() => {
        this.#programs.delete(program)
        this.#tell({ group: pid, ended: true })
      })
    }
    return program
  }

  /** Where a program's output goes. */
  logOf(name: string): string {
    return join(this.#logs, `${name}.log`)
  }

  /** When this resolves, nothing that was started runs any more, and the folder is gone. */
  async end(): Promise<void> {
    this.#over = true
    await Promise.all([...this.#programs].map((program) => program.kill()))
    if (this.#warden.connected) this.#warden.disconnect()
    const { exitCode, signalCode, pid } = this.#warden
    if (exitCode === null && signalCode === null && pid !== undefined) await once(this.#warden, 'exit')
  }

  #tell(message: WardenMessage): void {
    if (this.#warden.connected) this.#warden.send(message)
  }
}
