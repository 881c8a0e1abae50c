import { type KestEntry, LABEL, RUNTIME_NAME } from '../entry/entry.js'
import { type ParsedEntry, type ParseOptions, parseEntry } from '../entry/parse.js'
import { type KestErrorCode, PassportVerificationError } from '../errors.js'
import { isHighS } from '../jws/ecdsa.js'
import type { Limits } from '../limits.js'
import { parents as parentsOf } from './graph.js'
import type { Passport } from './passport.js'
import type { LinkedEntry } from './stages.js'

/** How much earlier than its parent an entry may be: clocks differ (K-TIME). */
export const CLOCK_SKEW_MS = 60_000

/**
 * What can be said about entries without any key: each has its one form (K-STRICT), is there once (K-ONCE, K-LOWS),
 * names only earlier entries as parents, and is not older than they are (K-TIME).
 *
 * Each is read when it is asked for, so that whoever finds one wrong reads no other.
 *
 * @param admit asked before a payload is parsed, as by {@link parseEntry}
 * @returns in the end, why the next entry is none; `null` when all were given
 */
export function* linkEntries(
  passport: Passport,
  limits: Limits,
  admit?: ParseOptions['admit'],
): Generator<LinkedEntry, PassportVerificationError | null, undefined> {
  const byHash = new Map<string, LinkedEntry>()
  const ids = new Set<string>()
  for (const [index, jws] of passport.entries.entries()) {
    let linked: LinkedEntry
    try {
      const parsed = parseEntry(jws, { limits, index, ...(admit !== undefined && { admit }) })
      assertOnce(parsed, ids, index)
      assertLowS(parsed, index)
      const parents = parentsOf(parsed, byHash)
      assertParents(parsed, parents, index)
      assertTime(parsed, parents, index)
      linked = { parsed, index, principal: parsed.entry.labels[LABEL.principal] as string, parents }
    } catch (error) {
      if (error instanceof PassportVerificationError) return error
      throw error
    }
    byHash.set(linked.parsed.hash, linked)
    ids.add(linked.parsed.entry.entry_id)
    yield linked
  }
  return null
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

/** An entry as a place in time. */
export interface TimedEntry {
  readonly index: number
  readonly parsed: { readonly entry: Pick<KestEntry, 'timestamp_ms'> }
}

export function assertTime(parsed: ParsedEntry, parents: readonly TimedEntry[], index: number): void {
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
