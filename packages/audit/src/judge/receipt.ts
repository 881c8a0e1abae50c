import type { KestError, ParsedEntry } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'

/** A receipt that a span shows, before it is verified. */
export interface DraftedReceipt {
  readonly parsed: ParsedEntry
  /** Who the span says was given it. */
  readonly holder: string | null
  readonly place: string
}

/**
 * What a callee has recorded, in the hands of whom it answered (K-RECEIPT). It is an entry by its form, and of no lineage here: that of
 * its process is what counts, if it came.
 */
export interface Receipt {
  /** Of the entry. */
  readonly hash: string
  /** Who signed it. */
  readonly principal: string
  readonly operation: string
  /** Hashes of what the caller had sent. */
  readonly parents: readonly string[]
  readonly timestampMs: number
  /** Who holds it: who signed that, or whose entries it builds on, as its own signer says; `null` where neither is known. */
  readonly holder: string | null
  /** Hashes of the holder's entries that name it. */
  readonly namedBy: readonly string[]
  /** Whether its own process has exported the entry. */
  readonly exported: boolean
  readonly place: string
}

/**
 * What a span has for a receipt, and is none, or is by somebody else: it is nobody's, and contradicts nobody.
 * @param beside what is said beside why
 */
export function brokenReceipt({ code, message }: KestError, place: string, beside = ''): AuditFinding {
  return finding('receipt-broken', message + beside, { cause: code, place })
}
