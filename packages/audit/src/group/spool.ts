import { randomInt } from 'node:crypto'
import type { Limits } from '@kest/core'
import { Part } from './part.js'
import { Partition } from './partition.js'
import { encodeRecord, readRecord, type SpanRecord, writeRecord } from './record.js'
import { frameAt, positions, RecordsInMemory } from './records.js'
import { spread } from './spread.js'

/** Parts that records are spread over, by the trace they belong to. */
const PARTS = 64
/** Times that a part is split again; traces that are still together then are read from their file. */
const MAX_DEPTH = 3

/** How much is kept where. */
export interface SpoolOptions {
  /** Bytes of records that are held in memory; beyond, they lie in files. */
  readonly memory: number
  /** Of a file with that name, whose folder is removed in the end. */
  readonly path: (name: string) => string
  readonly limits: Limits
}

/**
 * Keeps spans until all have come, so that each trace can be judged as a whole. They are spread by their trace, and up to a
 * budget stay in memory; beyond it they lie in temporary files, of which one at a time is read back.
 */
export class Spool {
  readonly #options: SpoolOptions
  readonly #depth: number
  readonly #seed = randomInt(2 ** 32)
  readonly #parts: readonly Part[]
  /** Of each part its one key; `null` when it has several. */
  readonly #keys: (string | null | undefined)[] = []
  #bytes = 0
  #spilled: Promise<void> = Promise.resolve()

  constructor(options: SpoolOptions, depth = 0) {
    this.#options = options
    this.#depth = depth
    this.#parts = Array.from({ length: PARTS }, (_, i) => new Part(() => options.path(`spans-${i}`)))
  }

  /** @returns a promise when whoever adds should wait for it: what is not written yet is in memory */
  add(record: SpanRecord): Promise<void> | undefined {
    const encoded = encodeRecord(record)
    const n = spread(record.key, this.#seed, PARTS)
    const part = this.#parts[n] as Part
    part.add(encoded.bytes, (to, at) => writeRecord(encoded, to, at))
    if (this.#keys[n] !== record.key) this.#keys[n] = this.#keys[n] === undefined ? record.key : null
    this.#bytes += encoded.bytes
    if (this.#bytes <= this.#options.memory) return undefined
    this.#bytes = 0
    this.#spilled = this.#spilled.then(() => this.#spill())
    return this.#spilled
  }

  /** All records, trace by trace complete, each partition until the next is asked for. May be asked for more than once. */
  async *partitions(): AsyncGenerator<Partition> {
    await this.#spilled
    const { memory, limits } = this.#options
    // Of one after the other in the same place: what lies outside the heap has V8 look through all of the heap for what is garbage.
    let room: Buffer | undefined
    for (const [n, part] of this.#parts.entries()) {
      if (part.bytes === 0) continue
      if (part.bytes <= memory) {
        const read = await part.read(room)
        if (room === undefined || read.length > room.length) room = read
        yield new Partition(new RecordsInMemory(read), limits)
      } else if (this.#depth < MAX_DEPTH && this.#keys[n] === null) yield* this.#split(part)
      else yield* this.#fromFile(part)
    }
  }

  /** Removes what was written. Idempotent. */
  async close(): Promise<void> {
    // Whoever added has been told of what could not be written.
    await this.#spilled.catch(() => undefined)
    await Promise.all(this.#parts.map((part) => part.close()))
  }

  async #spill(): Promise<void> {
    for (const part of this.#parts) await part.spill()
  }

  /** A part that is too large for memory, spread anew. */
  async *#split(part: Part): AsyncGenerator<Partition> {
    const path = (name: string): string => this.#options.path(`finer-${name}`)
    const finer = new Spool({ ...this.#options, path }, this.#depth + 1)
    try {
      const records = await part.open()
      try {
        for (const at of positions(records)) {
          const added = finer.add(readRecord(frameAt(records, at), 0))
          if (added !== undefined) await added
        }
      } finally {
        records.close()
      }
      yield* finer.partitions()
    } finally {
      await finer.close()
    }
  }

  /** One trace is larger than memory: its spans are read from the file. */
  async *#fromFile(part: Part): AsyncGenerator<Partition> {
    const records = await part.open()
    try {
      yield new Partition(records, this.#options.limits)
    } finally {
      records.close()
    }
  }
}
