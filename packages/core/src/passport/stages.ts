import type { ParsedEntry } from '../entry/parse.js'
import type { PassportVerificationError } from '../errors.js'
import type { KeySource, VerificationKey } from '../identity/key-source.js'

/** An entry in its place: form and links are right. */
export interface LinkedEntry {
  readonly parsed: ParsedEntry
  readonly index: number
  readonly principal: string
  /** In the order in which the entry names them. */
  readonly parents: readonly LinkedEntry[]
}

/** An entry together with its principal's own keys, of those that fit its algorithm. */
export interface BoundEntry {
  readonly linked: LinkedEntry
  readonly keys: readonly VerificationKey[]
  readonly source: KeySource
  /** The source's, from before it was asked. */
  readonly generation: number
}

/** A bound entry, and whether its signature was checked here: ancestors are not in mode `tip`. */
export interface CheckedEntry {
  readonly bound: BoundEntry
  readonly proven: boolean
}

/**
 * What a stage of the verification hands to the next: the entries that passed, up to the first that did not. A later
 * stage may fail at an earlier entry; so the failure that is thrown at the end is the first in *entry* order, whatever
 * order the work was done in.
 */
export interface Stage<T> {
  readonly entries: readonly T[]
  /** Why the entry after the last of `entries` did not pass; `null` when all did. */
  readonly failure: PassportVerificationError | null
}
