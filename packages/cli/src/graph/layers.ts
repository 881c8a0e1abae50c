import type { LineageGraph } from './lineage-graph.js'

/** In which layer each node is: below all of its parents. Time in proportion to nodes and edges. */
export function layersOf(count: number, edges: LineageGraph['edges']): number[] {
  const layers = new Array<number>(count).fill(0)
  const { parents, children } = neighbours(count, edges)
  const waiting = parents.map(({ length }) => length)
  const free = [...waiting.keys()].filter((index) => waiting[index] === 0)
  for (let index = free.pop(); index !== undefined; index = free.pop()) {
    for (const child of children[index] as number[]) {
      layers[child] = Math.max(layers[child] as number, (layers[index] as number) + 1)
      waiting[child] = (waiting[child] as number) - 1
      if (waiting[child] === 0) free.push(child)
    }
  }
  return layers
}

/** Of each node, those above and below. */
export function neighbours(
  count: number,
  edges: LineageGraph['edges'],
): { readonly parents: readonly number[][]; readonly children: readonly number[][] } {
  const parents = Array.from({ length: count }, (): number[] => [])
  const children = Array.from({ length: count }, (): number[] => [])
  for (const [parent, child] of edges) {
    parents[child]?.push(parent)
    children[parent]?.push(child)
  }
  return { parents, children }
}
