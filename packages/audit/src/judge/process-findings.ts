import { type AuditFinding, finding } from '../finding.js'
import { listed, type NumberedKind, type ProcessNumbers } from './process-numbers.js'

/** What is numbered, for findings. @param process its uuid */
export function nameOfNumbered(what: NumberedKind, process: string): string {
  return what === 'entry' ? `process ${process}` : `denials of process ${process}`
}

/** @param name as {@link nameOfNumbered} says it */
export function repeatedNumber(number: number, name: string, what: NumberedKind, hash: string): AuditFinding {
  const message = `number ${number} of ${name} is also that of another ${what}`
  return finding('sequence-repeated', message, { entryHash: what === 'entry' ? hash : null })
}

/**
 * What the numbers of one process show, each owner's by themselves (K-AUDIT).
 *
 * @param since when the first entry of an owner was made, in whatever process; milliseconds
 * @param upTo what misses after that number is not judged
 */
export function* processFindings<Owner>(
  name: string,
  owners: ReadonlyMap<Owner, ProcessNumbers>,
  since: (owner: Owner) => number,
  { maxDelayMs }: { readonly maxDelayMs: number },
  upTo?: number,
): Generator<AuditFinding> {
  const exported = [...owners.values()].filter(({ principals }) => principals.size > 0)
  if (exported.length > 1) {
    const names = exported.flatMap(({ principals }) => [...principals])
    yield finding('sequence-shared', `${name}: its numbers are signed by ${listed(names)}`)
  }
  for (const [owner, numbers] of owners) {
    // Of numbers that several sign, whoever began is not known.
    if (exported.length === 1) yield* numbers.start(since(owner), maxDelayMs)
    yield* numbers.gaps(upTo)
  }
}
