import { ROOT_PARENT } from '../entry/entry.js'

/** What the graph of a passport is made of: entries of any stage that know their hash and their parents. */
export interface GraphEntry {
  readonly hash: string
  readonly entry: { readonly parent_ids: readonly string[] }
}

/** Whether an entry begins a lineage. */
export function isRoot({ entry }: GraphEntry): boolean {
  return entry.parent_ids.length === 1 && entry.parent_ids[0] === ROOT_PARENT
}

/** Entries that begin a lineage, in order. */
export function roots<T extends GraphEntry>(entries: readonly T[]): T[] {
  return entries.filter(isRoot)
}

/** Entries that no other entry names as a parent, in order. */
export function tips<T extends GraphEntry>(entries: readonly T[]): T[] {
  const named = new Set<string>()
  for (const { entry } of entries) for (const parent of entry.parent_ids) named.add(parent)
  return entries.filter(({ hash }) => !named.has(hash))
}

/**
 * The parents of an entry, in the order in which it names them; `undefined` when one of them is not among `known`.
 * A root has none.
 */
export function parents<T>(of: GraphEntry, known: ReadonlyMap<string, T>): T[] | undefined {
  if (isRoot(of)) return []
  const found: T[] = []
  for (const hash of of.entry.parent_ids) {
    const parent = known.get(hash)
    if (parent === undefined) return undefined
    found.push(parent)
  }
  return found
}
