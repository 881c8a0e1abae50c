import { type EntryKey, EntryTables, entryKey } from '@kest/audit'
import { entryHash } from '@kest/core'
import type { Log, LogRecord } from '../log/log.js'
import { assertRead, readBehindGone } from '../log/slices.js'
import { signatureIn } from '../split/span-record.js'

/** The entries of one partition, as far as it was read: each record once, however often it is asked. */
export class FollowedPartition {
  readonly #log: Log
  readonly #topic: string
  readonly #partition: number
  /** By offset. */
  readonly #tables = new EntryTables()
  #sinceMs = Number.POSITIVE_INFINITY
  /** Where what was read begins, and ends. */
  #from = 0
  #next = 0
  /** The time of the first record that is not read yet, if it is known. */
  #aheadMs = Number.NEGATIVE_INFINITY
  #newestMs = Number.NEGATIVE_INFINITY

  constructor(log: Log, topic: string, partition: number) {
    this.#log = log
    this.#topic = topic
    this.#partition = partition
  }

  get partition(): number {
    return this.#partition
  }

  get tables(): number {
    return this.#tables.size
  }

  /** The time of the last entry of its first table; `Infinity` when it has none. */
  get oldestMs(): number {
    return this.#tables.oldestMs
  }

  /** Whether all entries since then are known, as far as it was read. */
  isWhole(sinceMs: number): boolean {
    return this.#tables.isWhole(sinceMs)
  }

  /** Where an entry may be, the last first. */
  find(key: EntryKey): Generator<number> {
    return this.#tables.find(key)
  }

  /** Forgets the first table, because nobody asks for what is so old, or, `lost`, because there is no room for it. */
  drop(lost: boolean): void {
    const newestMs = this.#tables.drop(lost)
    if (newestMs === null) return
    this.#sinceMs = newestMs + 1
    this.#from = this.#tables.base ?? this.#next
  }

  /**
   * Reads what is there of that time, and was not read before.
   * @param keepMs nobody asks for what is older
   * @param room told after each reading: tables may have to go
   */
  async follow(sinceMs: number, untilMs: number, keepMs: number, room: () => void): Promise<void> {
    // Nobody has asked for so long that what came meanwhile is too old.
    if (this.#newestMs < keepMs && this.#tables.size === 0) this.#sinceMs = Number.POSITIVE_INFINITY
    if (sinceMs < this.#sinceMs && this.isWhole(sinceMs)) await this.#begin(sinceMs, room)
    if (this.#aheadMs > untilMs) return
    let end = Number.POSITIVE_INFINITY
    for (let next = this.#next; next < end; next = this.#next) {
      const slice = await readBehindGone(this.#log, this.#topic, this.#partition, next)
      // What comes meanwhile is read the next time.
      if (end === Number.POSITIVE_INFINITY) end = slice.end
      const firstMs = slice.records[0]?.timestampMs ?? Number.NEGATIVE_INFINITY
      this.#aheadMs = firstMs > untilMs ? firstMs : Number.NEGATIVE_INFINITY
      if (firstMs > untilMs) return
      this.#add(this.#tables, slice.records)
      this.#next = Math.max(next, slice.next)
      room()
      assertRead(slice, this.#topic, this.#partition, next)
      if (slice.next <= next) return
    }
  }

  /** What is older than all that was read, or all of it. */
  async #begin(sinceMs: number, room: () => void): Promise<void> {
    const from = await this.#log.offsetAt(this.#topic, this.#partition, sinceMs)
    if (this.#sinceMs === Number.POSITIVE_INFINITY) {
      this.#tables.clear()
      this.#next = from
      this.#aheadMs = Number.NEGATIVE_INFINITY
    } else {
      const older = new EntryTables()
      for (let at = from; at < this.#from; ) {
        const slice = await readBehindGone(this.#log, this.#topic, this.#partition, at)
        this.#add(
          older,
          slice.records.filter(({ offset }) => offset < this.#from),
        )
        assertRead(slice, this.#topic, this.#partition, at)
        if (slice.next <= at) break
        at = slice.next
      }
      this.#tables.putBefore(older)
    }
    this.#from = from
    this.#sinceMs = sinceMs
    room()
  }

  #add(tables: EntryTables, records: readonly LogRecord[]): void {
    for (const record of records) {
      const signature = signatureIn(record)
      this.#newestMs = Math.max(this.#newestMs, record.timestampMs)
      if (signature === undefined) continue
      tables.add(entryKey(entryHash(signature)) as EntryKey, record.offset, record.timestampMs)
    }
  }
}
