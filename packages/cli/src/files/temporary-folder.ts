import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** A folder for what shall not outlive the command: it is gone when that is over, or was ended by a signal. */
export class TemporaryFolder implements Disposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
  }

  static async create(): Promise<TemporaryFolder> {
    return new TemporaryFolder(await mkdtemp(join(tmpdir(), 'kest-')))
  }

  [Symbol.dispose](): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
    rmSync(this.path, { recursive: true, force: true })
  }

  /** Who else listens, as whoever receives spans does, decides what becomes of it. */
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (process.listenerCount(signal) > 1) return
    this[Symbol.dispose]()
    process.kill(process.pid, signal)
  }
}
