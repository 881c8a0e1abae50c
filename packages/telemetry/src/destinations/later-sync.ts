import type { Logger } from '@kest/core'

/** How long what was written may be in the system's memory alone. */
const INTERVAL_MS = 1_000

/** The fsync policy `interval`: what was written since is forced to the disk once, within a second. */
export class LaterSync {
  readonly #sync: () => Promise<void>
  readonly #told: { readonly file: string; readonly logger: Logger }
  #timer: NodeJS.Timeout | undefined
  #underWay: Promise<void> = Promise.resolve()

  /**
   * @param sync - forces to the disk; that it fails is logged, since what was written already counts as exported
   * @param told - the file or folder that the log names
   */
  constructor(sync: () => Promise<void>, told: { readonly file: string; readonly logger: Logger }) {
    this.#sync = sync
    this.#told = told
  }

  request(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#underWay = this.#underWay.then(() => this.#force())
    }, INTERVAL_MS).unref()
  }

  /** What is asked for is not begun any more; resolves when what was begun has ended, and never rejects. */
  async cancel(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#underWay
  }

  async #force(): Promise<void> {
    try {
      await this.#sync()
    } catch (error) {
      const { file, logger } = this.#told
      logger.error({ file, err: (error as Error).message }, 'audit file not forced to disk')
    }
  }
}
