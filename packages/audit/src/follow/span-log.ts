import { hash } from 'node:crypto'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { KestError } from '@kest/core'
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
/** How far apart times are remembered. */
const MARK_BYTES = 1_048_576
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

/** What is known of a trace. */
export interface Known {
  /** In the order in which they came. */
  readonly spans: readonly ExportedSpan[]
  /** The last. */
  readonly told: Told | null
  readonly bytes: number
}

/** Says whether two verdicts say the same. */
export function digestOf(trace: TraceJson): string {
  return hash('sha256', JSON.stringify(trace)).slice(0, 2 * DIGEST_BYTES)
}

/** A file of all spans there were, and of what was said of them: each record names the one before of its trace. */
export class SpanLog {
  readonly #fd: number
  #pending: Buffer[] = []
  #written = 0
  #end = 0
  /** When records were written, now and then. */
  readonly #marks: { readonly ms: number; readonly at: number }[] = []

  /** @throws {KestError} `ERR_KEST_EVIDENCE` when it cannot be written, here and later */
  constructor(path: string) {
    this.#fd = attempt(() => openSync(path, 'wx+', 0o600))
  }

  /**
   * @param previous the last record of its trace
   * @returns where it is
   */
  addSpan(key: string, span: ExportedSpan, previous: number, nowMs: number): number {
    const encoded = encodeRecord({ key, span })
    const record = Buffer.alloc(HEADER + encoded.bytes)
    writeRecord(encoded, record, HEADER)
    return this.#add(record, previous, nowMs)
  }

  addVerdict({ verdict, judgedAt, early, digest }: Told, previous: number, nowMs: number): number {
    const record = Buffer.alloc(HEADER)
    record.writeUInt32LE(1 + VERDICTS.indexOf(verdict) + (early ? EARLY : 0), VERDICT_AT)
    record.writeDoubleLE(judgedAt, JUDGED_AT)
    record.write(digest, DIGEST_AT, 'hex')
    return this.#add(record, previous, nowMs)
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
    let bytes = 0
    let at = last
    while (at !== NOWHERE) {
      const record = this.#record(at)
      const which = record.readUInt32LE(VERDICT_AT)
      if (which === 0) spans.push(readRecord(record, HEADER).span)
      else told ??= toldIn(record, which)
      bytes += record.length
      at = record.readDoubleLE(0)
    }
    return { spans: spans.reverse(), told, bytes }
  }

  /** Entries of all spans that came since then. */
  async *entries(sinceMs: number): AsyncGenerator<EntryShare> {
    this.flush()
    const end = this.#written
    let at = this.#marks.findLast(({ ms }) => ms < sinceMs)?.at ?? 0
    while (at < end) {
      const block = this.#read(at, Math.min(BLOCK_BYTES, end - at))
      const signatures: string[] = []
      let from = 0
      while (from + HEADER <= block.length) {
        const length = block.readUInt32LE(from + LENGTH_AT)
        const whole = from + length <= block.length
        if (!whole && from > 0) break
        const record = whole ? block.subarray(from, from + length) : this.#read(at, length)
        if (record.readUInt32LE(VERDICT_AT) === 0) {
          const signature = readSignature(record, HEADER)
          if (signature !== undefined) signatures.push(signature)
        }
        from += length
      }
      at += from
      yield { signatures: () => signatures }
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

  #add(record: Buffer, previous: number, nowMs: number): number {
    const at = this.#end
    record.writeDoubleLE(previous, 0)
    record.writeUInt32LE(record.length, LENGTH_AT)
    this.#pending.push(record)
    this.#end += record.length
    const mark = this.#marks.at(-1)
    if (mark === undefined || (nowMs > mark.ms && at - mark.at >= MARK_BYTES))
      this.#marks.push({ ms: nowMs, at })
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
