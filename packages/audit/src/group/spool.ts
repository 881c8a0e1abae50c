import { randomInt } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Part } from './part.js'
import { Partition } from './partition.js'
import { encodeRecord, readKey, readRecord, type SpanRecord } from './record.js'

/** Parts that records are spread over, by the trace they belong to. */
const PARTS = 64
/** Times that a part is split again; traces that are still together then are too large by themselves. */
const MAX_DEPTH = 3

/** How much is kept where. */
export interface SpoolOptions {
  /** Bytes of records that are held in memory; beyond, they lie in files. */
  readonly memory: number
  /** Folder for these files. */
  readonly folder: string
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
  #bytes = 0
  #folder: string | undefined
  #spilled: Promise<void> = Promise.resolve()

  constructor(options: SpoolOptions, depth = 0) {
    this.#options = options
    this.#depth = depth
    this.#parts = Array.from(
      { length: PARTS },
      (_, i) => new Part(() => join(this.#createFolder(), String(i))),
    )
  }

  /** @returns a promise when whoever adds should wait for it: what is not written yet is in memory */
  add(record: SpanRecord): Promise<void> | undefined {
    const encoded = encodeRecord(record)
    this.#partOf(record.key).add(encoded)
    this.#bytes += encoded.bytes
    if (this.#bytes <= this.#options.memory) return undefined
    this.#bytes = 0
    this.#spilled = this.#spilled.then(() => this.#spill())
    return this.#spilled
  }

  /** All records, trace by trace complete. May be asked for more than once. */
  async *partitions(): AsyncGenerator<Partition> {
    await this.#spilled
    const { memory } = this.#options
    for (const part of this.#parts) {
      if (part.bytes === 0) continue
      if (part.bytes <= memory) yield new Partition(await part.read())
      else if (this.#depth < MAX_DEPTH) yield* this.#split(part)
      else yield await firstOf(part, memory)
    }
  }

  /** Removes what was written. Idempotent. */
  async close(): Promise<void> {
    // Whoever added has been told of what could not be written.
    await this.#spilled.catch(() => undefined)
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
    this.#folder = undefined
  }

  #partOf(key: string): Part {
    return this.#parts[spread(key, this.#seed)] as Part
  }

  #createFolder(): string {
    this.#folder ??= mkdtempSync(join(this.#options.folder, 'kest-audit-'))
    return this.#folder
  }

  async #spill(): Promise<void> {
    for (const part of this.#parts) await part.spill()
  }

  /** A part that is too large for memory, spread anew. */
  async *#split(part: Part): AsyncGenerator<Partition> {
    const finer = new Spool({ ...this.#options, folder: this.#createFolder() }, this.#depth + 1)
    try {
      for await (const frame of part.frames()) {
        const added = finer.add(readRecord(frame, 0))
        if (added !== undefined) await added
      }
      yield* finer.partitions()
    } finally {
      await finer.close()
    }
  }
}

/** What fits; of traces that do not, it is counted what is left out. */
async function firstOf(part: Part, memory: number): Promise<Partition> {
  const kept: Buffer[] = []
  const dropped = new Map<string, number>()
  let bytes = 0
  for await (const frame of part.frames()) {
    bytes += frame.length
    if (bytes <= memory) kept.push(Buffer.from(frame))
    else dropped.set(readKey(frame, 0), (dropped.get(readKey(frame, 0)) ?? 0) + 1)
  }
  return new Partition(Buffer.concat(kept), dropped)
}

/** FNV-1a. Seeded, so that nobody can make all his traces fall together. */
function spread(key: string, seed: number): number {
  let hash = seed
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 16_777_619)
  hash ^= hash >>> 15
  return (hash >>> 0) % PARTS
}
