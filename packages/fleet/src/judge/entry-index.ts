import { setTimeout as wait } from 'node:timers/promises'
import { type EntryShare, entryKey, MAX_ENTRY_TABLES } from '@kest/audit'
import { entryHash } from '@kest/core'
import { Gone, type Log, type LogSlice } from '../log/log.js'
import { assertRead } from '../log/slices.js'
import { signatureIn } from '../split/span-record.js'
import { FollowedPartition } from './followed-partition.js'

/** Of each partition so many in any case. */
const TABLES_OF_EACH = 2
/** How often partitions are read on at most. */
const PASS_MS = 100
/** Bytes that are read for entries that were found: so many at once, and so many for each byte of spans that was judged. */
const CREDIT = 268_435_456
const CREDIT_PER_BYTE = 16
/** What asking a broker once counts as, at least. */
const ASKING_BYTES = 16_384
/** A record, with what was written at once with it. */
const ONE_RECORD = 1

export interface EntryIndexOptions {
  readonly log: Log
  readonly topic: string
  readonly maxTables?: number
  readonly credit?: number
}

/** What is asked of an index for traces that are judged at once. */
export interface EntrySearch {
  /** Those that are there of the hashes, and of what is added to them meanwhile. */
  readonly entries: (hashes: Iterable<string>) => AsyncGenerator<EntryShare>
  /** Hashes of which nobody knows whether they are there: it would have been too much to look. */
  readonly unsought: ReadonlySet<string>
}

interface Pass {
  sinceMs: number
  untilMs: number
  readonly done: Promise<void>
}

/**
 * Where entries are, in all partitions: for traces that build on entries of others. Each record is read once, and only where somebody asks;
 * whoever asks waits for what was there when he did. What nobody may ask for any more is forgotten. All judges of a process share it.
 */
export class EntryIndex {
  readonly #log: Log
  readonly #topic: string
  readonly #maxTables: number | null
  readonly #maxCredit: number
  #partitions: FollowedPartition[] = []
  /** By the partition that is judged, how old what is asked for may be. */
  readonly #keepMs = new Map<number, number>()
  #credit: number
  /** The pass that has not begun, if somebody waits for one. */
  #waiting: Pass | null = null
  #last: Promise<void> = Promise.resolve()

  constructor({ log, topic, maxTables, credit = CREDIT }: EntryIndexOptions) {
    this.#log = log
    this.#topic = topic
    this.#maxTables = maxTables ?? null
    this.#maxCredit = credit
    this.#credit = credit
  }

  /** @param keepMs the judge of the partition asks for nothing that is older */
  keep(partition: number, keepMs: number): void {
    this.#keepMs.set(partition, keepMs)
  }

  /** The partition is judged elsewhere. */
  leave(partition: number): void {
    this.#keepMs.delete(partition)
  }

  /** @param bytes of spans that are judged: they pay for what is looked for */
  earn(bytes: number): void {
    this.#credit = Math.min(this.#maxCredit, this.#credit + CREDIT_PER_BYTE * bytes)
  }

  /** What is there of that time, as of when it is first asked. */
  search(sinceMs: number, untilMs: number): EntrySearch {
    const unsought = new Set<string>()
    let followed: Promise<void> | undefined
    const entries = async function* (this: EntryIndex, hashes: Iterable<string>): AsyncGenerator<EntryShare> {
      followed ??= this.#follow(sinceMs, untilMs)
      await followed
      let near: Near | null = null
      for (const hash of hashes) {
        const places = [...this.#placesOf(hash)]
        if (places.length === 0 && !this.#isWhole(sinceMs)) unsought.add(hash)
        for (const place of places) {
          if (near === null || !isIn(place, near)) near = await this.#readAt(place)
          if (near === null) {
            unsought.add(hash)
            break
          }
          const signature = signatureAt(place, near)
          if (signature === null || entryHash(signature) !== hash) continue
          yield { signatures: () => [signature] }
          break
        }
      }
    }
    return { entries: entries.bind(this), unsought }
  }

  *#placesOf(hash: string): Generator<Place> {
    const key = entryKey(hash)
    if (key === null) return
    for (const one of this.#partitions)
      for (const offset of one.find(key)) yield { partition: one.partition, offset }
  }

  #isWhole(sinceMs: number): boolean {
    return this.#partitions.every((one) => one.isWhole(sinceMs))
  }

  /** @returns `null` when there is no credit left */
  async #readAt({ partition, offset }: Place): Promise<Near | null> {
    if (this.#credit <= 0) return null
    try {
      const slice = await this.#log.read(this.#topic, partition, offset, ONE_RECORD)
      assertRead(slice, this.#topic, partition, offset)
      this.#credit -= Math.max(slice.bytes, ASKING_BYTES)
      return { partition, from: offset, slice }
    } catch (error) {
      if (!(error instanceof Gone)) throw error
      return { partition, from: offset, slice: { records: [], bytes: 0, next: offset + 1, end: offset + 1 } }
    }
  }

  /** One pass at a time: all who ask while one is at work wait for the same next. */
  #follow(sinceMs: number, untilMs: number): Promise<void> {
    const waiting = this.#waiting
    if (waiting !== null) {
      waiting.sinceMs = Math.min(waiting.sinceMs, sinceMs)
      waiting.untilMs = Math.max(waiting.untilMs, untilMs)
      return waiting.done
    }
    const last = this.#last
    const done = (async () => {
      await last
      const { sinceMs: since, untilMs: until } = this.#waiting as Pass
      this.#waiting = null
      await this.#pass(since, until)
    })()
    this.#waiting = { sinceMs, untilMs, done }
    this.#last = done.catch(() => {}).then(() => wait(PASS_MS, undefined, { ref: false }))
    return done
  }

  async #pass(sinceMs: number, untilMs: number): Promise<void> {
    if (this.#partitions.length === 0) {
      const count = await this.#log.partitions(this.#topic)
      this.#partitions = Array.from(
        { length: count },
        (_, partition) => new FollowedPartition(this.#log, this.#topic, partition),
      )
    }
    const keepMs = Math.min(sinceMs, ...this.#keepMs.values())
    for (const one of this.#partitions) {
      while (one.oldestMs < keepMs) one.drop(false)
      await one.follow(sinceMs, untilMs, keepMs, () => this.#makeRoom())
    }
  }

  #makeRoom(): void {
    const most = this.#maxTables ?? Math.max(MAX_ENTRY_TABLES, TABLES_OF_EACH * this.#partitions.length)
    while (this.#partitions.reduce((sum, { tables }) => sum + tables, 0) > most) {
      const [oldest] = [...this.#partitions].sort((a, b) => a.oldestMs - b.oldestMs)
      oldest?.drop(true)
    }
  }
}

interface Place {
  readonly partition: number
  readonly offset: number
}

/** What was read last: what a trace builds on lies together. */
interface Near {
  readonly partition: number
  readonly from: number
  readonly slice: LogSlice
}

function isIn({ partition, offset }: Place, near: Near): boolean {
  return near.partition === partition && near.from <= offset && offset < near.slice.next
}

function signatureAt({ offset }: Place, { slice }: Near): string | null {
  const record = slice.records.find((one) => one.offset === offset)
  return (record && signatureIn(record)) ?? null
}
