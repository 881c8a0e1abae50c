import { ROOT_PARENT } from '@kest/core'
import type { Node } from './collect.js'

/**
 * A passport's order: parents before children, whatever order they came in; where links leave a choice, by the time
 * that they state, and then by hash, so that the same entries have one order.
 */
export function inOrder(nodes: Iterable<Node>): Node[] {
  const sorted = [...nodes].sort(byTime)
  const byHash = new Map(sorted.map((node) => [node.parsed.hash, node]))
  const ordered: Node[] = []
  const placed = new Set<Node>()
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

/** Hashes of parents; a root has none. */
export function parentHashes({ parsed }: Pick<Node, 'parsed'>): readonly string[] {
  const { parent_ids: parents } = parsed.entry
  return parents[0] === ROOT_PARENT ? NONE : parents
}

const NONE: readonly string[] = Object.freeze([])

function firstUnplacedParent(
  node: Node,
  byHash: ReadonlyMap<string, Node>,
  placed: ReadonlySet<Node>,
): Node | undefined {
  for (const hash of parentHashes(node)) {
    const parent = byHash.get(hash)
    if (parent !== undefined && !placed.has(parent)) return parent
  }
  return undefined
}

function byTime({ parsed: a }: Node, { parsed: b }: Node): number {
  return a.entry.timestamp_ms - b.entry.timestamp_ms || (a.hash < b.hash ? -1 : 1)
}
