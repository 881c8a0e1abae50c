import { rmSync, utimesSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { InputError } from './input-error.js'
import { FOLDER_PREFIX, KEPT_FRESH_MS, removeLeftovers } from './leftovers.js'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * A folder for what shall not outlive the command: it is gone when that is over, or was ended by a signal. What a command left that
 * was ended otherwise, the next one removes.
 */
export class TemporaryFolder implements Disposable {
  readonly path: string
  readonly #timer: NodeJS.Timeout

  private constructor(path: string) {
    this.path = path
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
    this.#timer = setInterval(() => this.#keepFresh(), KEPT_FRESH_MS).unref()
  }

  /** @throws {InputError} when there is no place for it */
  static async create(): Promise<TemporaryFolder> {
    // Its address is for processes that may have other working directories.
    const where = resolve(tmpdir())
    await removeLeftovers(where)
    try {
      return new TemporaryFolder(await mkdtemp(join(where, `${FOLDER_PREFIX}${process.pid}-`)))
    } catch (cause) {
      const { code = 'unknown' } = cause as NodeJS.ErrnoException
      throw new InputError(
        `temporary files cannot be written to ${where}: ${code}; TMPDIR names another folder`,
        {
          cause,
        },
      )
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
    rmSync(this.path, { recursive: true, force: true })
  }

  /** So that nobody takes it for a leftover. */
  #keepFresh(): void {
    const now = new Date()
    try {
      utimesSync(this.path, now, now)
    } catch {
      // Somebody removed it: whoever writes there will say so.
    }
  }

  /** Who else listens, as whoever receives spans does, decides what becomes of it. */
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (process.listenerCount(signal) > 1) return
    this[Symbol.dispose]()
    process.kill(process.pid, signal)
  }
}
