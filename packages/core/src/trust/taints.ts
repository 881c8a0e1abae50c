const NONE: readonly string[] = Object.freeze([])

/**
 * Cumulative taints of an entry: (∪ parents' ∪ added) − removed (SPEC §5, F-TT-04).
 *
 * @param parents the taints of each parent; empty for a root
 * @returns without repeats, sorted by code point, frozen
 */
export function computeTaints(
  parents: readonly (readonly string[])[],
  added: readonly string[],
  removed: readonly string[],
): readonly string[] {
  const taints = new Set(added)
  for (const parent of parents) for (const taint of parent) taints.add(taint)
  for (const taint of removed) taints.delete(taint)
  return sortedTaints(taints)
}

/** Without repeats, sorted by code point, frozen. */
export function sortedTaints(taints: ReadonlySet<string>): readonly string[] {
  if (taints.size === 0) return NONE
  const list = [...taints]
  return Object.freeze(list.length === 1 ? list : list.sort(byCodePoint))
}

/** Code points, where `<` compares UTF-16 units: U+1F600 comes after U+FF5E, though its first unit is smaller. */
function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left === right) continue
    const leftIsSurrogate = (left & 0xf800) === 0xd800
    const rightIsSurrogate = (right & 0xf800) === 0xd800
    return leftIsSurrogate === rightIsSurrogate ? left - right : leftIsSurrogate ? 1 : -1
  }
  return a.length - b.length
}
