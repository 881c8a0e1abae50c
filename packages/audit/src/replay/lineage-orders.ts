import type { LineageSummary } from '@kest/core'
import type { AuditedEntry } from '../judge/audited-entry.js'

/** Orders that are tried: those of a handful of concurrent calls. */
const MAX_ORDERS = 24

/**
 * What policies saw of the lineage of an entry (K-LINEAGE): in a passport's order, which of concurrent calls is that in which they ended, and
 * is on no record. So each order is one that it may have been; the likeliest first.
 *
 * @param ancestors of the entry, parents before children
 */
export function* lineageSummaries(ancestors: readonly AuditedEntry[]): Generator<LineageSummary> {
  let left = MAX_ORDERS
  for (const order of ordersOf(ancestors)) {
    yield summaryOf(order)
    if (--left === 0) return
  }
}

function* ordersOf(ancestors: readonly AuditedEntry[]): Generator<readonly AuditedEntry[]> {
  yield ancestors
  // Of a chain there is no other.
  if (
    ancestors.every(({ parents }, index) => index === 0 || parents.includes(ancestors[index - 1]?.hash ?? ''))
  )
    return
  const isThere = new Set(ancestors.map(({ hash }) => hash))
  const placed: AuditedEntry[] = []
  const names = new Set<string>()
  function* place(): Generator<readonly AuditedEntry[]> {
    if (placed.length === ancestors.length) {
      if (placed.some((one, index) => one !== ancestors[index])) yield [...placed]
      return
    }
    for (const one of ancestors) {
      const isNext =
        !names.has(one.hash) && one.parents.every((parent) => !isThere.has(parent) || names.has(parent))
      if (!isNext) continue
      placed.push(one)
      names.add(one.hash)
      yield* place()
      names.delete(one.hash)
      placed.pop()
    }
  }
  yield* place()
}

function summaryOf(entries: readonly AuditedEntry[]): LineageSummary {
  return {
    depth: entries.length,
    principals: entries.map(({ principal }) => principal),
    operations: entries.map(({ entry }) => entry.operation),
    classifications: entries.map(({ entry }) => entry.classification),
  }
}
