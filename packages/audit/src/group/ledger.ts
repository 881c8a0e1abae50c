import { randomInt } from 'node:crypto'
import { Part } from './part.js'
import type { Records } from './records.js'
import { spread } from './spread.js'

const PARTS = 64
/** Bytes that are held in memory; beyond, they lie in files. */
const MEMORY = 8_388_608
/** Keys whose records are handed over together, about. */
const KEYS_AT_ONCE = 65_536
/** Every record begins with a key of so many bytes. */
export const KEY_BYTES = 16

/**
 * Small records of one size, a few for each entry of an audit: kept until all have come, and then handed over some at a time, so
 * that those with one key come together.
 */
export class Ledger {
  readonly #recordBytes: number
  readonly #seeds = [randomInt(2 ** 32), randomInt(2 ** 32)] as const
  readonly #parts: readonly Part[]
  readonly #key = Buffer.alloc(KEY_BYTES)
  #bytes = 0
  #spilled: Promise<void> = Promise.resolve()

  /** @param path of a file that begins so, once one is needed */
  constructor(path: (name: string) => string, name: string, recordBytes: number) {
    this.#recordBytes = recordBytes
    this.#parts = Array.from({ length: PARTS }, (_, i) => new Part(() => path(`${name}-${i}`)))
  }

  /**
   * @param uuid the key
   * @returns a promise when whoever adds should wait for it: what is not written yet is in memory
   */
  add(uuid: string, write: (record: Buffer) => void): Promise<void> | undefined {
    this.#key.write(uuid.replaceAll('-', ''), 'hex')
    const part = this.#parts[spread(this.#key.toString('latin1'), this.#seeds[0], PARTS)] as Part
    part.add(this.#recordBytes, (to, at) => {
      this.#key.copy(to, at)
      write(to.subarray(at, at + this.#recordBytes))
    })
    this.#bytes += this.#recordBytes
    if (this.#bytes <= MEMORY) return undefined
    this.#bytes = 0
    this.#spilled = this.#spilled.then(() => this.#spill())
    return this.#spilled
  }

  /** Each time, all records of some keys, with the key as text. A record is valid until the next is asked for. */
  async *shares(): AsyncGenerator<Iterable<LedgerRecord>> {
    for (const part of this.#parts) {
      if (part.bytes === 0) continue
      const records = await part.open()
      try {
        const passes = this.#passesOf(records)
        for (let pass = 0; pass < passes; pass++) {
          const some = (): Generator<LedgerRecord> => this.#recordsOf(records, passes, pass)
          yield { [Symbol.iterator]: some }
        }
      } finally {
        records.close()
      }
    }
  }

  async #spill(): Promise<void> {
    for (const one of this.#parts) await one.spill()
  }

  /** As many as it takes for each to have few keys. */
  #passesOf(records: Records): number {
    for (let passes = 1; ; passes *= 4) {
      const keys = new Set<string>()
      for (const [key] of this.#recordsOf(records, passes, 0)) {
        keys.add(key)
        if (keys.size > KEYS_AT_ONCE) break
      }
      if (keys.size <= KEYS_AT_ONCE) return passes
    }
  }

  *#recordsOf(records: Records, passes: number, pass: number): Generator<LedgerRecord> {
    for (let at = 0; at < records.bytes; at += this.#recordBytes) {
      const record = records.slice(at, this.#recordBytes)
      const key = record.toString('latin1', 0, KEY_BYTES)
      if (passes === 1 || spread(key, this.#seeds[1], passes) === pass) yield [key, record]
    }
  }
}

/** All of it, the key first. */
export type LedgerRecord = readonly [key: string, record: Buffer]

/** A key as the uuid that it is. */
export function uuidOf(key: string): string {
  const hex = Buffer.from(key, 'latin1').toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
