import { type FileHandle, open } from 'node:fs/promises'

/** For whoever runs the service; an audit trail is nobody else's to read. */
const MODE = 0o600

/**
 * Files that are open. Whoever forgets a trail without shutting it down shall not lose the process for it: from Node 26 on
 * it ends when the garbage collector finds a file that nobody closed.
 */
const openFiles = new Set<AppendFile>()

/**
 * A file that grows by whole lines. It is created here and belongs to this process alone, so that a line which a killed
 * process left torn is the last of its file, and never continued.
 */
export class AppendFile {
  readonly path: string
  readonly openedMs = Date.now()
  readonly #handle: FileHandle
  #size = 0
  #unsynced = false
  #broken = false

  private constructor(path: string, handle: FileHandle) {
    this.path = path
    this.#handle = handle
  }

  /** @throws when it exists: it is somebody else's */
  static async create(path: string): Promise<AppendFile> {
    const file = new AppendFile(path, await open(path, 'ax', MODE))
    openFiles.add(file)
    return file
  }

  get size(): number {
    return this.#size
  }

  /** Whether it must not be written further: it may end with a torn line, or what it holds may not be on disk. */
  get broken(): boolean {
    return this.#broken
  }

  /**
   * Appends all of it, or nothing: what a failure left is cut off again.
   * @param sync whether it shall be on disk before this resolves
   */
  async append(lines: Buffer, sync: boolean): Promise<void> {
    try {
      await this.#handle.appendFile(lines)
      // Now, not before: what is forced to the disk meanwhile may be without it.
      this.#unsynced = true
      if (sync) await this.sync()
      await this.#assertLinked()
      this.#size += lines.length
    } catch (error) {
      await this.#cutOff()
      throw error
    }
  }

  /** Forces what was written to the disk. */
  async sync(): Promise<void> {
    if (!this.#unsynced) return
    this.#unsynced = false
    try {
      await this.#handle.datasync()
    } catch (error) {
      // The system may have given up pages that it could not write: another attempt would succeed without them.
      this.#broken = true
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#handle.close()
    openFiles.delete(this)
  }

  /** A deleted file takes all that is written, and nobody will ever read it. */
  async #assertLinked(): Promise<void> {
    if ((await this.#handle.stat()).nlink > 0) return
    this.#broken = true
    throw new Error(`${this.path} was deleted, and what it held is lost`)
  }

  async #cutOff(): Promise<void> {
    try {
      await this.#handle.truncate(this.#size)
    } catch {
      this.#broken = true
    }
  }
}
