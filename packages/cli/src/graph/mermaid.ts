import type { GraphNode, NodeStatus } from './graph-node.js'
import type { LineageGraph } from './lineage-graph.js'

/** What a Mermaid label may hold as it is; everything else is written as the entity that Mermaid has for it. */
const UNSAFE = /[^A-Za-z0-9 .,:/_@-]/gu

const STYLES: Readonly<Record<NodeStatus, string>> = {
  verified: 'fill:#e6f4ea,stroke:#137333,color:#0b3d1c',
  consistent: 'fill:#f1f3f4,stroke:#202124,color:#202124',
  signed: 'fill:#fef7e0,stroke:#b06000,color:#4a2a00',
  failed: 'fill:#fce8e6,stroke:#c5221f,color:#5c0f0c',
  missing: 'fill:#f1f3f4,stroke:#5f6368,color:#202124,stroke-dasharray:4 3',
  refused: 'fill:#ffffff,stroke:#c5221f,color:#5c0f0c',
  denied: 'fill:#ffffff,stroke:#c5221f,color:#5c0f0c,stroke-dasharray:4 3',
}

/** A flowchart of Mermaid. */
export function mermaidOf({ title, verdict, nodes, edges, receipts }: LineageGraph): string {
  const used = [...new Set(nodes.map(({ status }) => status))]
  return [
    'flowchart TD',
    `  subgraph lineage["${escaped(`${title}: ${verdict}`)}"]`,
    ...nodes.map((node) => `  n${node.index}["${labelOf(node)}"]:::${node.status}`),
    ...edges.map(
      ([parent, child], i) => `  n${parent} ${receipts.has(i) ? '-. receipt .->' : '-->'} n${child}`,
    ),
    '  end',
    ...used.map((status) => `  classDef ${status} ${STYLES[status]}`),
    '',
  ].join('\n')
}

function labelOf({ title, lines }: GraphNode): string {
  return [title, ...lines].map(escaped).join('<br/>')
}

function escaped(text: string): string {
  return text.replace(UNSAFE, (character) => `#${character.codePointAt(0)};`)
}
