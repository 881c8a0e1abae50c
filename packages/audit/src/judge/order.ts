import type { Node } from './node.js'

/** What it takes to put entries in order. */
type Ordered = Pick<Node, 'hash' | 'parents' | 'timestampMs'>

/**
 * A passport's order: parents before children, whatever order they came in; where links leave a choice, by the time
 * that they state, and then by hash, so that the same entries have one order.
 */
export function inOrder<T extends Ordered>(nodes: Iterable<T>): T[] {
  const sorted = [...nodes].sort(byTime)
  const byHash = new Map(sorted.map((node) => [node.hash, node]))
  const ordered: T[] = []
  const placed = new Set<T>()
  for (const start of sorted) {
    // A lineage may be deeper than the stack.
    const path = [start]
    for (let node = path.at(-1); node !== undefined; node = path.at(-1)) {
      const next = placed.has(node) ? undefined : firstUnplacedParent(node, byHash, placed)
      if (next !== undefined) {
        path.push(next)
        continue
      }
      path.pop()
      if (placed.has(node)) continue
      placed.add(node)
      ordered.push(node)
    }
  }
  return ordered
}

function firstUnplacedParent<T extends Ordered>(
  node: T,
  byHash: ReadonlyMap<string, T>,
  placed: ReadonlySet<T>,
): T | undefined {
  for (const hash of node.parents) {
    const parent = byHash.get(hash)
    if (parent !== undefined && !placed.has(parent)) return parent
  }
  return undefined
}

function byTime(a: Ordered, b: Ordered): number {
  return a.timestampMs - b.timestampMs || (a.hash < b.hash ? -1 : 1)
}
