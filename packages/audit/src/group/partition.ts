import type { ExportedSpan } from '../span/exported-span.js'
import { UNTRACED } from './lineage-key.js'
import { frameLength, readKey, readRecord, readSignature } from './record.js'

/** The spans of one trace, as far as they could be kept. */
export interface TraceSpans {
  /** `null`: entries that name no trace, and hang together by their links. */
  readonly traceId: string | null
  readonly spans: readonly ExportedSpan[]
  /** Spans that were not kept, because there are too many. */
  readonly dropped: number
}

/** Of a set, or of a map by them. */
type TraceIds = Pick<ReadonlySet<string | null>, 'has'>

/** Records that fit into memory together: all there are of each of their traces. They are bytes until a trace is asked for. */
export class Partition {
  readonly #bytes: Buffer
  readonly #dropped: ReadonlyMap<string, number>

  /** @param dropped traces that are too large by themselves, and how many of their records are not here */
  constructor(bytes: Buffer, dropped: ReadonlyMap<string, number> = new Map()) {
    this.#bytes = bytes
    this.#dropped = dropped
  }

  /** Every `kest.signature` there is. */
  *signatures(): Generator<string> {
    for (const at of frames(this.#bytes)) {
      const signature = readSignature(this.#bytes, at)
      if (signature !== undefined) yield signature
    }
  }

  /** @param only those of these traces; default: all */
  *traces(only?: TraceIds): Generator<TraceSpans> {
    const positions = new Map<string, number[]>()
    for (const key of this.#dropped.keys()) if (isIn(only, key)) positions.set(key, [])
    for (const at of frames(this.#bytes)) {
      const key = readKey(this.#bytes, at)
      if (!isIn(only, key)) continue
      const known = positions.get(key)
      if (known === undefined) positions.set(key, [at])
      else known.push(at)
    }
    for (const [key, all] of positions) {
      yield {
        traceId: traceIdOf(key),
        spans: all.map((at) => readRecord(this.#bytes, at).span),
        dropped: this.#dropped.get(key) ?? 0,
      }
    }
  }
}

function isIn(only: TraceIds | undefined, key: string): boolean {
  return only === undefined || only.has(traceIdOf(key))
}

function traceIdOf(key: string): string | null {
  return key === UNTRACED ? null : key
}

/** Where each whole frame begins. */
export function* frames(bytes: Buffer): Generator<number> {
  for (let at = 0; ; ) {
    const length = frameLength(bytes, at)
    if (length === undefined || at + length > bytes.length) return
    yield at
    at += length
  }
}
