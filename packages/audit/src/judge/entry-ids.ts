import { sha256Hex } from '@kest/core'
import { repeatedId } from '../across/entry-id-window.js'
import type { AuditFinding } from '../finding.js'
import { KEY_BYTES, Ledger, uuidOf } from '../group/ledger.js'
import type { AuditedEntry, TraceReport } from './audited-entry.js'
import { contentOf } from './fold-twins.js'

const CONTENT_BYTES = 16
const HASH_BYTES = 32
const HASH_AT = KEY_BYTES + CONTENT_BYTES
const RECORD_BYTES = HASH_AT + HASH_BYTES

/**
 * That an `entry_id` is of one entry (K-ONCE), wherever: within a trace its judge says so. Takes 64 bytes for each entry, in files
 * when there are many.
 */
export class EntryIds {
  readonly #ledger: Ledger

  /** @param path of a file with that name */
  constructor(path: (name: string) => string) {
    this.#ledger = new Ledger(path, 'ids', RECORD_BYTES)
  }

  /**
   * Each entry that holds by itself, once.
   * @returns a promise when whoever adds should wait for it
   */
  add(traceId: TraceReport['traceId'], one: AuditedEntry): Promise<void> | undefined {
    return this.#ledger.add(one.entryId, (record) => {
      // Twins of one trace are folded; of what names no trace they may be in two lineages, and are one entry (K-LOWS).
      const content = traceId === null ? sha256Hex(contentOf(one)) : one.hash
      record.write(content, KEY_BYTES, CONTENT_BYTES, 'hex')
      record.write(one.hash, HASH_AT, HASH_BYTES, 'hex')
    })
  }

  async *findings(): AsyncGenerator<AuditFinding> {
    for await (const share of this.#ledger.shares()) {
      const first = new Map<string, Buffer>()
      for (const [id, record] of share) {
        const other = first.get(id)
        if (other === undefined) first.set(id, Buffer.from(record))
        else if (!contentIn(other).equals(contentIn(record)))
          yield repeatedId({ entryId: uuidOf(id), hash: hashIn(record) }, hashIn(other))
      }
    }
  }
}

function contentIn(record: Buffer): Buffer {
  return record.subarray(KEY_BYTES, HASH_AT)
}

function hashIn(record: Buffer): string {
  return record.toString('hex', HASH_AT)
}
