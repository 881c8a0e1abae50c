import { LABEL, RUNTIME_NAME } from '../entry/entry.js'
import { type ParsedEntry, parseEntry } from '../entry/parse.js'
import { type KestErrorCode, PassportVerificationError } from '../errors.js'
import { isHighS } from '../jws/ecdsa.js'
import type { Limits } from '../limits.js'
import { parents as parentsOf } from './graph.js'
import type { Passport } from './passport.js'
import type { LinkedEntry, Stage } from './stages.js'

/** How much earlier than its parent an entry may be: clocks differ (K-TIME). */
export const CLOCK_SKEW_MS = 60_000

/**
 * What can be said about entries without any key: each has its one form (K-STRICT), is there once (K-ONCE, K-LOWS),
 * names only earlier entries as parents, and is not older than they are (K-TIME).
 *
 * @param onLinked told of each entry of which that holds, in order
 */
export function linkEntries(
  passport: Passport,
  limits: Limits,
  onLinked?: (entry: LinkedEntry) => void,
): Stage<LinkedEntry> {
  const entries: LinkedEntry[] = []
  const byHash = new Map<string, LinkedEntry>()
  const ids = new Set<string>()
  for (const [index, jws] of passport.entries.entries()) {
    try {
      const parsed = parseEntry(jws, { limits, index })
      assertOnce(parsed, ids, index)
      assertLowS(parsed, index)
      const parents = parentsOf(parsed, byHash)
      assertParents(parsed, parents, index)
      assertTime(parsed, parents, index)
      const linked = { parsed, index, principal: parsed.entry.labels[LABEL.principal] as string, parents }
      entries.push(linked)
      byHash.set(parsed.hash, linked)
      ids.add(parsed.entry.entry_id)
      onLinked?.(linked)
    } catch (error) {
      if (error instanceof PassportVerificationError) return { entries, failure: error }
      throw error
    }
  }
  return { entries, failure: null }
}

/** K-ONCE, of which the id is enough: an entry that occurs twice brings its id along. */
function assertOnce(parsed: ParsedEntry, ids: ReadonlySet<string>, index: number): void {
  if (ids.has(parsed.entry.entry_id)) {
    throw refused('ERR_KEST_DUPLICATE', parsed, index, 'it, or its entry_id, occurs before')
  }
}

/** K-LOWS: ours are written with s ≤ n/2, so the other is somebody's twin of one. */
export function assertLowS(parsed: ParsedEntry, index: number): void {
  if (parsed.entry.runtime.name === RUNTIME_NAME && isHighS(parsed.header.alg, parsed.signature)) {
    throw refused('ERR_KEST_SIGNATURE', parsed, index, 'its s is above n/2')
  }
}

function assertParents(
  parsed: ParsedEntry,
  parents: readonly LinkedEntry[] | undefined,
  index: number,
): asserts parents is readonly LinkedEntry[] {
  if (parents !== undefined) return
  throw refused('ERR_KEST_PARENT_UNKNOWN', parsed, index, 'a parent is not an earlier entry')
}

export function assertTime(parsed: ParsedEntry, parents: readonly LinkedEntry[], index: number): void {
  for (const parent of parents) {
    if (parsed.entry.timestamp_ms < parent.parsed.entry.timestamp_ms - CLOCK_SKEW_MS) {
      throw refused('ERR_KEST_TIME', parsed, index, `it is earlier than its parent, entry ${parent.index}`)
    }
  }
}

function refused(
  code: KestErrorCode,
  { entry }: ParsedEntry,
  index: number,
  why: string,
): PassportVerificationError {
  return new PassportVerificationError(code, `entry ${index}: ${why}`, { index, entryId: entry.entry_id })
}
