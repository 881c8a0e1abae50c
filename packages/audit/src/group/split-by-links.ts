import type { Limits } from '@kest/core'
import { Components } from '../judge/components.js'
import { tryParse } from '../judge/lineage-draft.js'
import { Node } from '../judge/node.js'

/**
 * Records that name no trace, parted into lineages: entries hang together by their links alone. What is no entry hangs
 * together with nothing, and comes last.
 *
 * @param signatures where each record is, and its entry
 * @returns where those of each lineage are
 */
export function splitByLinks(
  signatures: Iterable<readonly [at: number, signature: string | undefined]>,
  limits: Limits,
): number[][] {
  const components = new Components()
  const hashes: [at: number, hash: string][] = []
  const rest: number[] = []
  for (const [at, signature] of signatures) {
    const parsed = signature === undefined ? undefined : tryParse(signature, limits)
    if (parsed === undefined || !('jws' in parsed)) {
      rest.push(at)
      continue
    }
    const { hash, parents } = new Node(parsed, 'span', limits, false)
    hashes.push([at, hash])
    for (const parent of parents) components.join(hash, parent)
  }
  const lineages = new Map<string, number[]>()
  for (const [at, hash] of hashes) {
    const component = components.of(hash)
    const lineage = lineages.get(component)
    if (lineage === undefined) lineages.set(component, [at])
    else lineage.push(at)
  }
  return rest.length === 0 ? [...lineages.values()] : [...lineages.values(), rest]
}
