import type { Limits } from '@kest/core'
import type { ExportedSpan } from '../span/exported-span.js'
import { UNTRACED } from './lineage-key.js'
import { readKey, readRecord, readSignature } from './record.js'
import { frameAt, positions, type Records } from './records.js'
import { splitByLinks } from './split-by-links.js'

/** Spans of a trace that are in memory while it is judged. */
const FEW = 8

/** The spans of one trace; of those that name none, those of one lineage. */
export interface Lineage {
  /** That of the trace, or a name that no trace has and that is the same each time. */
  readonly id: string
  /** `null`: entries that name no trace, and hang together by their links. */
  readonly traceId: string | null
  /** Read each time that they are asked for, and only as long as the next lineage is not. */
  readonly spans: Iterable<ExportedSpan>
}

/** Records of some traces: all there are of each of them. They are bytes until a trace is asked for. */
export class Partition {
  readonly #records: Records
  readonly #limits: Limits

  constructor(records: Records, limits: Limits) {
    this.#records = records
    this.#limits = limits
  }

  /** Every `kest.signature` there is. */
  *signatures(): Generator<string> {
    for (const at of positions(this.#records)) {
      const signature = readSignature(this.#frame(at), 0)
      if (signature !== undefined) yield signature
    }
  }

  /** @param only those with these ids; default: all */
  *lineages(only?: Pick<ReadonlySet<string>, 'has'>): Generator<Lineage> {
    const byKey = new Map<string, number[]>()
    for (const at of positions(this.#records)) {
      const key = readKey(this.#frame(at), 0)
      if (only !== undefined && key !== UNTRACED && !only.has(key)) continue
      const known = byKey.get(key)
      if (known === undefined) byKey.set(key, [at])
      else known.push(at)
    }
    for (const [key, all] of byKey) {
      if (key !== UNTRACED) yield { id: key, traceId: key, spans: this.#spansAt(all) }
      else {
        for (const [n, some] of splitByLinks(this.#signaturesAt(all), this.#limits).entries()) {
          // Where records are differs with what they were spread with; their order is the same.
          const id = `untraced ${n}`
          if (only === undefined || only.has(id)) yield { id, traceId: null, spans: this.#spansAt(some) }
        }
      }
    }
  }

  /** Of a few, what was read stays: whoever judges a trace looks through its spans more than once. */
  #spansAt(all: readonly number[]): Iterable<ExportedSpan> {
    const read = (at: number): ExportedSpan => readRecord(this.#frame(at), 0).span
    if (all.length <= FEW) return all.map(read)
    return {
      *[Symbol.iterator]() {
        for (const at of all) yield read(at)
      },
    }
  }

  *#signaturesAt(all: readonly number[]): Generator<readonly [at: number, signature: string | undefined]> {
    for (const at of all) yield [at, readSignature(this.#frame(at), 0)]
  }

  #frame(at: number): Buffer {
    return frameAt(this.#records, at)
  }
}
