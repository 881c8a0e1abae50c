import type { EntryShare } from '@kest/audit'
import type { EntrySearch } from './entry-index.js'
import type { VerdictRecord } from './verdict-record.js'

/** Entries of other traces that verdicts have, by their hash: what was found once is not looked for again, however old it is by now. */
export function knownIn(verdicts: Iterable<VerdictRecord>): Map<string, string> {
  const known = new Map<string, string>()
  for (const { entries } of verdicts)
    for (const { source, hash, signature } of entries) if (source === 'foreign') known.set(hash, signature)
  return known
}

/** Those, and what is found of the others that are named. */
export async function* withKnown(
  known: ReadonlyMap<string, string>,
  named: ReadonlySet<string>,
  { entries }: EntrySearch,
): AsyncGenerator<EntryShare> {
  if (known.size > 0) yield { signatures: () => known.values() }
  yield* entries(others(known, named))
}

/** Also of what is added meanwhile. */
function* others(known: ReadonlyMap<string, string>, named: ReadonlySet<string>): Generator<string> {
  for (const hash of named) if (!known.has(hash)) yield hash
}
