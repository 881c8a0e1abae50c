import { accessSync, constants, mkdirSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { KestConfigError, type Logger } from '@kest/core'
import type { ReadableSpan } from '../../spans/readable-span.js'
import { type Destination, serialized } from '../destination.js'
import type { FsyncPolicy } from '../fsync-policy.js'
import { LaterSync } from '../later-sync.js'
import { otlpLine } from '../otlp-json.js'
import { UnderWay } from '../under-way.js'
import { AppendFile } from './append-file.js'
import { fileNames } from './file-name.js'

/** How a {@link FileDestination} writes. */
export interface FileOptions {
  readonly folder: string
  readonly service: string
  readonly fsync: FsyncPolicy
  /** A file that would grow beyond it is followed by another; bytes. */
  readonly rotateBytes: number
  /** A file that is older is followed by another; milliseconds. */
  readonly rotateMs: number
  readonly logger: Logger
}

/** Spans as lines of OTLP/JSON, in files of this process' own in a folder that several may share. */
export class FileDestination implements Destination {
  readonly name: string
  readonly #options: FileOptions
  readonly #nextName: () => string
  readonly #laterSync: LaterSync
  #file: AppendFile | null = null
  readonly #writing = new UnderWay()

  /** @throws {KestConfigError} when the folder cannot be made or written */
  constructor(options: FileOptions) {
    const folder = resolve(options.folder)
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      accessSync(folder, constants.W_OK)
    } catch (cause) {
      throw new KestConfigError(`endpoint: the folder ${folder} cannot be written`, { cause })
    }
    this.#options = { ...options, folder }
    this.#nextName = fileNames(options.service)
    const told = { file: folder, logger: options.logger }
    this.#laterSync = new LaterSync(async () => this.#file?.sync(), told)
    this.name = `files in ${folder}`
  }

  write(spans: readonly ReadableSpan[]): Promise<void> {
    return this.#writing.begin(this.#write(spans))
  }

  async close(): Promise<void> {
    await this.#writing.ended()
    await this.#closeFile()
  }

  async #write(spans: readonly ReadableSpan[]): Promise<void> {
    const lines = serialized(() => Buffer.from(spans.map((span) => `${otlpLine(span)}\n`).join('')))
    const file = await this.#fileFor(lines.length)
    await file.append(lines, this.#options.fsync === 'always')
    if (this.#options.fsync === 'interval') this.#laterSync.request()
  }

  async #fileFor(length: number): Promise<AppendFile> {
    const { folder, rotateBytes, rotateMs } = this.#options
    const current = this.#file
    if (current !== null) {
      const full = current.size > 0 && current.size + length > rotateBytes
      if (!current.broken && !full && Date.now() - current.openedMs < rotateMs) return current
      await this.#closeFile()
    }
    const file = await AppendFile.create(join(folder, this.#nextName()))
    this.#file = file
    if (this.#options.fsync !== 'never') await syncFolder(folder)
    return file
  }

  /** What was written stays counted as exported; if it cannot be forced to the disk, the operator hears of it. */
  async #closeFile(): Promise<void> {
    const file = this.#file
    this.#file = null
    await this.#laterSync.cancel()
    if (file === null) return
    try {
      if (!file.broken && this.#options.fsync !== 'never') await file.sync()
    } finally {
      await file.close()
    }
  }
}

/** So that the file's name is on disk as well. Windows has no such thing. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
