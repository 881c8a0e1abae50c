import { createReadStream } from 'node:fs'
import { appendFile, readFile } from 'node:fs/promises'
import { KestError } from '@kest/core'
import { frames } from './partition.js'
import { type EncodedRecord, frameLength, writeRecord } from './record.js'

/** Bytes that are allotted at a time. */
const CHUNK_BYTES = 65_536
/** Bytes of a file that are read at a time when it is not read whole. */
const READ_BYTES = 1_048_576

/** Records of some of the traces: bytes in memory, and before them those in a file. Outside the heap, either way. */
export class Part {
  readonly #path: () => string
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

  add(record: EncodedRecord): void {
    let last = this.#chunks.at(-1)
    if (last === undefined || last.length - this.#used < record.bytes) {
      this.#close()
      last = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, record.bytes))
      this.#chunks.push(last)
      this.#used = 0
    }
    writeRecord(record, last, this.#used)
    this.#used += record.bytes
    this.#inMemory += record.bytes
  }

  /** What is in memory goes to the file; what is added meanwhile, after it. */
  async spill(): Promise<void> {
    if (this.#inMemory === 0) return
    const bytes = this.#taken()
    this.#inFile += bytes.length
    try {
      await appendFile(this.#path(), bytes, { mode: 0o600 })
    } catch (cause) {
      throw new KestError('ERR_KEST_EVIDENCE', `temporary files: ${(cause as Error).message}`, { cause })
    }
  }

  /** All of it. */
  async read(): Promise<Buffer> {
    this.#close()
    const file = this.#inFile === 0 ? [] : [await readFile(this.#path())]
    return Buffer.concat([...file, ...this.#chunks])
  }

  /** One frame after the other, of which only some are in memory at once. Each is valid until the next. */
  async *frames(): AsyncGenerator<Buffer> {
    await this.spill()
    let rest: Buffer = Buffer.alloc(0)
    for await (const chunk of createReadStream(this.#path(), { highWaterMark: READ_BYTES })) {
      const bytes: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      let end = 0
      for (const at of frames(bytes)) {
        end = at + (frameLength(bytes, at) as number)
        yield bytes.subarray(at, end)
      }
      rest = bytes.subarray(end)
    }
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
