import { type KestEntry, LABEL } from '../entry/entry.js'
import { KestError } from '../errors.js'
import { type EffectiveParent, type EffectiveRules, principalOf, type Remarks } from './effective-rules.js'
import { overrides } from './effective-trust.js'
import { isReserved } from './reserved.js'
import { sortedTaints } from './taints.js'

/** Taints that an entry may have in effect (K-LIMIT): they are inherited, and so would grow with every parent. */
const MAX_TAINTS = 256

/**
 * What is claimed, added and inherited (K-EFF), as it follows without the reader's lists: what entries are measured by.
 * @throws {KestError} `ERR_KEST_LIMIT` for more than 256
 */
export function plainTaintsOf(
  entry: KestEntry,
  parents: readonly EffectiveParent[],
  rules: EffectiveRules,
  remarks: Remarks,
): readonly string[] {
  for (const { length } of [entry.taints, entry.added_taints, entry.removed_taints]) assertFewTaints(length)
  const taints = new Set(entry.taints)
  const dropped: string[] = []
  for (const taint of givenTaints(entry, parents, rules)) {
    if (taints.has(taint)) continue
    taints.add(taint)
    dropped.push(taint)
  }
  if (dropped.length > 0)
    remarks.add('taint-dropped', `does not claim ${list(dropped)}, which its lineage gives`)
  assertFewTaints(taints.size)
  return sortedTaints(taints)
}

/** With what the reader's lists have put on its ancestors (K-ROOTS, K-SWITCH), and on itself. Nobody can remove that. */
export function effectiveTaintsOf(
  plain: readonly string[],
  parents: readonly EffectiveParent[],
  own: readonly (string | false)[],
): readonly string[] {
  let taints: Set<string> | undefined
  const put = (taint: string): void => {
    if (plain.includes(taint)) return
    taints ??= new Set(plain)
    taints.add(taint)
  }
  for (const parent of parents) {
    if (parent.taints === parent.plain.taints) continue
    for (const taint of parent.taints) if (isReserved(taint)) put(taint)
  }
  for (const taint of own) if (taint !== false) put(taint)
  return taints === undefined ? plain : sortedTaints(taints)
}

function assertFewTaints(count: number): void {
  if (count <= MAX_TAINTS) return
  throw new KestError(
    'ERR_KEST_LIMIT',
    `an entry with ${count} taints; at most ${MAX_TAINTS} are accepted (K-LIMIT)`,
  )
}

/** What the entry cannot but have: what it adds, and what its parents have and it may not, or does not, remove. */
function givenTaints(
  entry: KestEntry,
  parents: readonly EffectiveParent[],
  rules: EffectiveRules,
): Iterable<string> {
  if (parents.every((parent) => parent.plain.taints.length === 0)) return entry.added_taints
  const given = new Set<string>()
  for (const parent of parents) for (const taint of parent.plain.taints) given.add(taint)
  // Those of Kest's own stay, whoever removes them (K-RESERVED).
  if (mayRemove(entry, rules))
    for (const taint of entry.removed_taints) if (!isReserved(taint)) given.delete(taint)
  for (const taint of entry.added_taints) given.add(taint)
  return given
}

/** For a message: a few names, and how many more. */
function list(names: readonly string[]): string {
  const shown = sortedTaints(new Set(names.slice(0, 5))).map((name) => JSON.stringify(name).slice(0, 64))
  return names.length > 5 ? `${shown.join(', ')} and ${names.length - 5} more` : shown.join(', ')
}

function mayRemove(entry: KestEntry, rules: EffectiveRules): boolean {
  if (entry.removed_taints.length === 0) return false
  return (overrides(entry) || entry.labels[LABEL.sanitizer] === 'true') && rules.mayRaise(principalOf(entry))
}
