import type { AuditedEntry } from '../judge/audited-entry.js'

/** Who called what an entry records. */
export interface Called {
  /** The nearest principals before it that are another's. Of a root, or of what hangs on nothing that is proven, nobody is known. */
  readonly by: readonly string[]
  /** Whether one of them has signed a parent, so that its lineage came from elsewhere and was judged. */
  readonly directly: boolean
}

const NOBODY: readonly string[] = Object.freeze([])
/** Callers of one entry that are looked for. */
const MOST = 16

/**
 * Who called, by hash of what was called.
 *
 * @param entries in a passport's order
 */
export function callersOf(entries: readonly AuditedEntry[]): ReadonlyMap<string, Called> {
  const signers = new Map<string, string>()
  const called = new Map<string, Called>()
  for (const { hash, principal, parents, status } of entries) {
    if (status === 'failed') continue
    signers.set(hash, principal)
    const isOthers = (parent: string): boolean => (signers.get(parent) ?? principal) !== principal
    const directly = parents.some(isOthers)
    const [only, ...more] = parents
    // What a chain of one's own has in common is kept once.
    const by =
      !directly && more.length === 0
        ? (called.get(only ?? '')?.by ?? NOBODY)
        : united(parents.map((one) => (isOthers(one) ? [signers.get(one) as string] : called.get(one)?.by)))
    called.set(hash, { by, directly })
  }
  return called
}

function united(lists: readonly (readonly string[] | undefined)[]): readonly string[] {
  const found = new Set<string>()
  for (const list of lists) for (const one of list ?? NOBODY) if (found.size < MOST) found.add(one)
  return [...found]
}
