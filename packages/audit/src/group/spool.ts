import { randomInt } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { readLines } from '../read/lines.js'
import { decodeRecord, encodeRecord, type SpanRecord, weightOf } from './record.js'

/** Files that records are spread over, by the trace they belong to. */
const PARTITIONS = 64
/** Text that a partition holds back before it writes. */
const BUFFERED = 131_072
/** Times that a partition is split again; traces that are still together then are too large by themselves. */
const MAX_DEPTH = 4

/** Records that fit into memory together. */
export interface Partition {
  /** All there are of each of their traces, but for those of `dropped`. */
  readonly records: readonly SpanRecord[]
  /** Traces that are too large by themselves, and how many of their records are not here. */
  readonly dropped: ReadonlyMap<string, number>
}

const NONE_DROPPED: Partition['dropped'] = new Map()

/** How much is kept where. */
export interface SpoolOptions {
  /** Bytes of records that are held in memory; beyond, they lie in files. */
  readonly memory: number
  /** Folder for these files. */
  readonly folder: string
}

/**
 * Keeps spans until all have come, so that each trace can be judged as a whole. Up to a budget they stay in memory;
 * beyond it they lie in temporary files, spread by their trace, of which one at a time is read back.
 */
export class Spool {
  readonly #options: SpoolOptions
  readonly #depth: number
  readonly #seed = randomInt(2 ** 32)
  #records: SpanRecord[] = []
  #weight = 0
  #parts: Part[] | undefined
  #folder: string | undefined
  #spilling: Promise<void> | undefined

  constructor(options: SpoolOptions, depth = 0) {
    this.#options = options
    this.#depth = depth
  }

  /** @returns a promise when whoever adds should wait for it: what is not written yet is in memory */
  add(record: SpanRecord): Promise<void> | undefined {
    if (this.#parts !== undefined) return this.#partOf(record.key).add(record)
    this.#records.push(record)
    this.#weight += weightOf(record)
    if (this.#weight <= this.#options.memory) return undefined
    this.#spilling ??= this.#spill()
    return this.#spilling
  }

  /** All records, trace by trace complete. May be asked for more than once. */
  async *partitions(): AsyncGenerator<Partition> {
    if (this.#parts === undefined) {
      if (this.#records.length > 0) yield { records: this.#records, dropped: NONE_DROPPED }
      return
    }
    for (const part of this.#parts) {
      await part.flush()
      if (part.weight > this.#options.memory && this.#depth < MAX_DEPTH) yield* this.#split(part)
      else if (part.weight > 0) yield await collect(part.records(), this.#options.memory)
    }
  }

  /** Removes what was written. Idempotent. */
  async close(): Promise<void> {
    await Promise.all((this.#parts ?? []).map((part) => part.close()))
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
    this.#parts = undefined
    this.#folder = undefined
    this.#records = []
  }

  async #spill(): Promise<void> {
    this.#folder = await mkdtemp(join(this.#options.folder, 'kest-audit-'))
    const files = Array.from({ length: PARTITIONS }, (_, i) => join(this.#folder as string, String(i)))
    this.#parts = await Promise.all(files.map(async (file) => new Part(file, await open(file, 'wx', 0o600))))
    for (const record of this.#records.splice(0)) await this.#partOf(record.key).add(record)
  }

  #partOf(key: string): Part {
    return (this.#parts as Part[])[spread(key, this.#seed)] as Part
  }

  /** A partition that is too large for memory, spread anew by another digest of the same traces. */
  async *#split(part: Part): AsyncGenerator<Partition> {
    const finer = new Spool({ ...this.#options, folder: this.#folder as string }, this.#depth + 1)
    try {
      for await (const record of part.records()) await finer.add(record)
      yield* finer.partitions()
    } finally {
      await finer.close()
    }
  }
}

class Part {
  weight = 0
  readonly #path: string
  readonly #file: FileHandle
  #text = ''
  #written: Promise<void> = Promise.resolve()

  constructor(path: string, file: FileHandle) {
    this.#path = path
    this.#file = file
  }

  add(record: SpanRecord): Promise<void> | undefined {
    this.weight += weightOf(record)
    this.#text += encodeRecord(record)
    return this.#text.length >= BUFFERED ? this.flush() : undefined
  }

  /** One after the other, also when several ask. */
  flush(): Promise<void> {
    const text = this.#text
    this.#text = ''
    this.#written = this.#written.then(() => (text === '' ? undefined : this.#file.appendFile(text)))
    return this.#written
  }

  async *records(): AsyncGenerator<SpanRecord> {
    for await (const { bytes } of readLines(createReadStream(this.#path), Number.POSITIVE_INFINITY)) {
      yield decodeRecord((bytes as Buffer).toString('utf8'))
    }
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

/** What fits; of traces that do not, it is counted what is left out. */
async function collect(all: AsyncIterable<SpanRecord>, memory: number): Promise<Partition> {
  const records: SpanRecord[] = []
  const dropped = new Map<string, number>()
  let weight = 0
  for await (const record of all) {
    weight += weightOf(record)
    if (weight <= memory) records.push(record)
    else dropped.set(record.key, (dropped.get(record.key) ?? 0) + 1)
  }
  return { records, dropped }
}

/** FNV-1a. Seeded, so that nobody can make all his traces fall together. */
function spread(key: string, seed: number): number {
  let hash = seed
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 16_777_619)
  hash ^= hash >>> 15
  return (hash >>> 0) % PARTITIONS
}
