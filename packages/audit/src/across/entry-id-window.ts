import { randomBytes } from 'node:crypto'
import { sha256Hex } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import { IdTable } from '../group/id-table.js'
import type { IdFact } from './facts.js'

/** Ids of one half; of both, 48 bytes each. */
const HALF = 262_144
/** Of 48 bits. */
const MARK_DIGITS = 12

/**
 * Of which entry each `entry_id` is, of those that came last: when one half is full, the other is forgotten. What is signed is remembered
 * by a keyed digest of 48 bits: nobody knows which others have the same.
 */
export class EntryIdWindow {
  /** Before what is always as long, it keys a digest as an HMAC would, at a fraction of its cost. */
  readonly #key = randomBytes(32).toString('hex')
  #young = new IdTable()
  #old = new IdTable()

  /**
   * @param at where the entry is: 0, or more
   * @returns where the other entry is of which the id is; `null` when it is of no other
   */
  add({ entryId, content }: Pick<IdFact, 'entryId' | 'content'>, at: number): number | null {
    const id = entryId.replaceAll('-', '')
    const mark = this.#markOf(content)
    const known = this.#young.get(id) ?? this.#old.get(id)
    if (known !== undefined) return known.mark === mark ? null : known.offset
    if (this.#young.size >= HALF) {
      this.#old = this.#young
      this.#young = new IdTable()
    }
    this.#young.set(id, { offset: at, mark })
    return null
  }

  #markOf(content: string): number {
    return Number.parseInt(sha256Hex(this.#key + content).slice(0, MARK_DIGITS), 16)
  }
}

/**
 * That an id is of two entries of two traces.
 * @param other the hash of the one that came before; `null` when it is not known
 */
export function repeatedId(
  { entryId, hash }: Pick<IdFact, 'entryId' | 'hash'>,
  other: string | null,
): AuditFinding {
  const which = other === null ? 'another entry' : `entry ${other}`
  const message = `its entry_id, ${entryId}, is also that of ${which}, of another trace`
  return finding('entry-id-repeated', message, { entryHash: hash })
}
