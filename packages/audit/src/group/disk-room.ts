import { statfs } from 'node:fs/promises'
import { KestError } from '@kest/core'

/**
 * Bounds temporary files: they never take more than half of what was free where they lie, so that whoever hands over more than a machine
 * has room for does not fill its disk. The other half is for what is spread anew while it is judged.
 */
export class DiskRoom {
  readonly #folder: string
  readonly #freeIn: (folder: string) => Promise<number>
  #least: number | undefined

  constructor(folder: string, freeIn: (folder: string) => Promise<number> = freeBytes) {
    this.#folder = folder
    this.#freeIn = freeIn
  }

  /**
   * For whenever more was written.
   * @throws {KestError} `ERR_KEST_LIMIT` when half of what was free the first time is taken
   */
  async assertLeft(): Promise<void> {
    const free = await this.#freeIn(this.#folder)
    this.#least ??= free / 2
    if (free >= this.#least) return
    throw new KestError(
      'ERR_KEST_LIMIT',
      `temporary files: half of what was free in ${this.#folder} is taken; another folder may have more room (TMPDIR, or the option "folder")`,
    )
  }
}

async function freeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder)
    return bavail * bsize
  } catch (cause) {
    throw new KestError('ERR_KEST_EVIDENCE', `temporary files: ${(cause as Error).message}`, { cause })
  }
}
