import { closeSync, openSync } from 'node:fs'
import { appendFile, rm } from 'node:fs/promises'
import { KestError } from '@kest/core'
import { type Records, RecordsInFile, RecordsInMemory, readWhole } from './records.js'

/** Bytes that are allotted at a time. */
const CHUNK_BYTES = 65_536

/** Records of some of the traces: bytes in memory, and before them those in a file. Outside the heap, either way. */
export class Part {
  readonly #path: () => string
  #file: string | undefined
  #chunks: Buffer[] = []
  /** Of the last chunk. */
  #used = 0
  #inFile = 0
  #inMemory = 0

  /** @param path of its file, once it needs one */
  constructor(path: () => string) {
    this.#path = path
  }

  get bytes(): number {
    return this.#inFile + this.#inMemory
  }

  /** @param write writes a record of so many bytes, there */
  add(bytes: number, write: (to: Buffer, at: number) => void): void {
    let last = this.#chunks.at(-1)
    if (last === undefined || last.length - this.#used < bytes) {
      this.#close()
      last = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, bytes))
      this.#chunks.push(last)
      this.#used = 0
    }
    write(last, this.#used)
    this.#used += bytes
    this.#inMemory += bytes
  }

  /** What is in memory goes to the file; what is added meanwhile, after it. */
  async spill(): Promise<void> {
    if (this.#inMemory === 0) return
    const bytes = this.#taken()
    this.#inFile += bytes.length
    await temporary(async () => {
      this.#file ??= this.#path()
      await appendFile(this.#file, bytes, { mode: 0o600 })
    })
  }

  /**
   * All of it. What is in the file is read here: the threads of the pool have signatures to compute.
   * @param room where it is put if it is large enough
   */
  async read(room?: Buffer): Promise<Buffer> {
    this.#close()
    const { bytes } = this
    const whole =
      room !== undefined && room.length >= bytes ? room.subarray(0, bytes) : Buffer.allocUnsafeSlow(bytes)
    const path = this.#file
    if (path !== undefined) await temporary(() => readFileInto(path, whole.subarray(0, this.#inFile)))
    let end = this.#inFile
    for (const chunk of this.#chunks) end += chunk.copy(whole, end)
    return whole
  }

  /** All of it; of what is in a file, only some is in memory at once. Whoever asks closes it. */
  async open(): Promise<Records> {
    if (this.#file === undefined) return new RecordsInMemory(await this.read())
    await this.spill()
    const path = this.#file
    return await temporary(() => new RecordsInFile(path, this.#inFile))
  }

  /** Removes its file. Idempotent. */
  async close(): Promise<void> {
    if (this.#file !== undefined) await rm(this.#file, { force: true })
    this.#file = undefined
    this.#inFile = 0
  }

  #taken(): Buffer {
    this.#close()
    const bytes = Buffer.concat(this.#chunks)
    this.#chunks = []
    this.#inMemory = 0
    return bytes
  }

  /** The last chunk ends where its records do, and is full. */
  #close(): void {
    const last = this.#chunks.pop()
    if (last === undefined) return
    const full = last.subarray(0, this.#used)
    this.#chunks.push(full)
    this.#used = full.length
  }
}

function readFileInto(path: string, bytes: Buffer): void {
  const descriptor = openSync(path, 'r')
  try {
    readWhole(descriptor, bytes, 0)
  } finally {
    closeSync(descriptor)
  }
}

async function temporary<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw new KestError('ERR_KEST_EVIDENCE', `temporary files: ${(cause as Error).message}`, { cause })
  }
}
