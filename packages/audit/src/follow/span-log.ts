import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { entryHash, KestError, sha256Hex } from '@kest/core'
import { type EntryKey, entryKey } from '../group/entry-table.js'
import { EntryTables, MAX_ENTRY_TABLES } from '../group/entry-tables.js'
import { encodeRecord, readRecord, readSignature, writeRecord } from '../group/record.js'
import type { Verdict } from '../judge/audited-entry.js'
import type { EntryShare } from '../judge/judge-lineages.js'
import type { TraceJson } from '../report/trace-json.js'
import type { ExportedSpan } from '../span/exported-span.js'

/** Of each record: where the one before of its trace is, how long it is, and of a verdict which, when and of what. */
const HEADER = 32
const LENGTH_AT = 8
const VERDICT_AT = 12
const JUDGED_AT = 16
const DIGEST_AT = 24
const DIGEST_BYTES = 8
const VERDICTS: readonly Verdict[] = ['verified', 'incomplete', 'broken', 'empty']
/** Added to which verdict it is. */
const EARLY = 16
/** Most records are no longer. */
const FEW_BYTES = 8_192
const BLOCK_BYTES = 1_048_576
/** Where there is no record before. */
export const NOWHERE = -1

/** A verdict that was told. */
export interface Told {
  readonly verdict: Verdict
  readonly judgedAt: number
  readonly early: boolean
  /** Of all that it said. */
  readonly digest: string
}

export interface SpanLogOptions {
  /** How long it is known where entries are, milliseconds. */
  readonly keepMs: number
  /** Of entries that are known; beyond, the oldest are not. Default 183: 8 million entries, 140 MiB. */
  readonly maxTables?: number
}

/** What is known of a trace. */
export interface Known {
  /** In the order in which they came. */
  readonly spans: readonly ExportedSpan[]
  /** How many of them came before the last verdict. */
  readonly toldSpans: number
  /** The last. */
  readonly told: Told | null
  readonly bytes: number
}

/** Says whether two verdicts say the same. */
export function digestOf(trace: TraceJson): string {
  return sha256Hex(JSON.stringify(trace)).slice(0, 2 * DIGEST_BYTES)
}

/** A file of all spans there were, and of what was said of them: each record names the one before of its trace. */
export class SpanLog {
  readonly #fd: number
  #pending: Buffer[] = []
  #written = 0
  #end = 0
  readonly #entries = new EntryTables()
  readonly #keepMs: number
  readonly #maxTables: number

  /** @throws {KestError} `ERR_KEST_EVIDENCE` when it cannot be written, here and later */
  constructor(path: string, { keepMs, maxTables = MAX_ENTRY_TABLES }: SpanLogOptions) {
    this.#fd = attempt(() => openSync(path, 'wx+', 0o600))
    this.#keepMs = keepMs
    this.#maxTables = maxTables
  }

  /**
   * @param previous the last record of its trace
   * @returns where it is
   */
  addSpan(key: string, span: ExportedSpan, previous: number, nowMs: number): number {
    const encoded = encodeRecord({ key, span })
    const record = Buffer.alloc(HEADER + encoded.bytes)
    writeRecord(encoded, record, HEADER)
    const at = this.#add(record, previous)
    const { signature } = span.claims
    if (typeof signature === 'string') this.#addEntry(entryHash(signature), at, nowMs)
    return at
  }

  addVerdict({ verdict, judgedAt, early, digest }: Told, previous: number): number {
    const record = Buffer.alloc(HEADER)
    record.writeUInt32LE(1 + VERDICTS.indexOf(verdict) + (early ? EARLY : 0), VERDICT_AT)
    record.writeDoubleLE(judgedAt, JUDGED_AT)
    record.write(digest, DIGEST_AT, 'hex')
    return this.#add(record, previous)
  }

  /** Where an entry is; `null` when it is nowhere, or there was no room to know where. */
  placeOf(hash: string): number | null {
    this.flush()
    const key = entryKey(hash)
    if (key === null) return null
    for (const at of this.#entries.find(key)) if (this.hashAt(at) === hash) return at
    return null
  }

  /** The hash of the entry that is in a span; `null` when there is none. */
  hashAt(at: number): string | null {
    const signature = readSignature(this.#record(at), HEADER)
    return signature === undefined ? null : entryHash(signature)
  }

  /** The span of one record. */
  span(at: number): ExportedSpan {
    this.flush()
    return readRecord(this.#record(at), HEADER).span
  }

  /** All of a trace, from its last record on. */
  known(last: number): Known {
    this.flush()
    const spans: ExportedSpan[] = []
    let told: Told | null = null
    let since = 0
    let bytes = 0
    let at = last
    while (at !== NOWHERE) {
      const record = this.#record(at)
      const which = record.readUInt32LE(VERDICT_AT)
      if (which === 0) {
        spans.push(readRecord(record, HEADER).span)
        if (told === null) since++
      } else told ??= toldIn(record, which)
      bytes += record.length
      at = record.readDoubleLE(0)
    }
    return { spans: spans.reverse(), toldSpans: spans.length - since, told, bytes }
  }

  /**
   * Those that came since then of the entries that are named, and of those that are named meanwhile.
   * @param unsought is told of hashes of which it is not known whether they came: there was no more room
   */
  async *entries(
    hashes: Iterable<string>,
    sinceMs: number,
    unsought: Set<string>,
  ): AsyncGenerator<EntryShare> {
    const isWhole = this.#entries.isWhole(sinceMs)
    for (const hash of hashes) {
      const at = this.placeOf(hash)
      if (at !== null) yield { signatures: () => [readSignature(this.#record(at), HEADER) as string] }
      else if (!isWhole) unsought.add(hash)
    }
  }

  /** Writes what is held. */
  flush(): void {
    const bytes = this.#pending.length === 1 ? (this.#pending[0] as Buffer) : Buffer.concat(this.#pending)
    this.#pending = []
    for (let from = 0; from < bytes.length; )
      from += attempt(() => writeSync(this.#fd, bytes, from, bytes.length - from, this.#written + from))
    this.#written += bytes.length
  }

  close(): void {
    closeSync(this.#fd)
  }

  #addEntry(hash: string, at: number, nowMs: number): void {
    this.#entries.add(entryKey(hash) as EntryKey, at, nowMs)
    while (this.#entries.oldestMs < nowMs - this.#keepMs) this.#entries.drop(false)
    while (this.#entries.size > this.#maxTables) this.#entries.drop(true)
  }

  #add(record: Buffer, previous: number): number {
    const at = this.#end
    record.writeDoubleLE(previous, 0)
    record.writeUInt32LE(record.length, LENGTH_AT)
    this.#pending.push(record)
    this.#end += record.length
    if (this.#end - this.#written >= BLOCK_BYTES) this.flush()
    return at
  }

  #record(at: number): Buffer {
    const beginning = this.#read(at, Math.min(FEW_BYTES, this.#written - at))
    const length = beginning.readUInt32LE(LENGTH_AT)
    return length <= beginning.length ? beginning.subarray(0, length) : this.#read(at, length)
  }

  #read(at: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafe(length)
    for (let from = 0; from < length; ) {
      const read = attempt(() => readSync(this.#fd, buffer, from, length - from, at + from))
      if (read === 0) throw new KestError('ERR_KEST_EVIDENCE', 'temporary files: one was shortened')
      from += read
    }
    return buffer
  }
}

function toldIn(record: Buffer, which: number): Told {
  return {
    verdict: VERDICTS[(which % EARLY) - 1] as Verdict,
    judgedAt: record.readDoubleLE(JUDGED_AT),
    early: which >= EARLY,
    digest: record.toString('hex', DIGEST_AT, DIGEST_AT + DIGEST_BYTES),
  }
}

function attempt<T>(work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw new KestError('ERR_KEST_EVIDENCE', `temporary files: ${(cause as Error).message}`, { cause })
  }
}
