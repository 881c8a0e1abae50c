import type { NodeStatus } from './graph-node.js'
import type { LineageGraph } from './lineage-graph.js'

const COLORS: Readonly<Record<NodeStatus, string>> = {
  verified: 'color="#137333", fillcolor="#e6f4ea"',
  consistent: 'color="#202124", fillcolor="#f1f3f4"',
  signed: 'color="#b06000", fillcolor="#fef7e0"',
  failed: 'color="#c5221f", fillcolor="#fce8e6"',
  missing: 'color="#5f6368", fillcolor="#f1f3f4", style="rounded,filled,dashed"',
  refused: 'color="#c5221f", fillcolor="#ffffff"',
  denied: 'color="#c5221f", fillcolor="#ffffff", style="rounded,filled,dashed"',
}

/** A digraph of Graphviz. */
export function dotOf({ title, verdict, nodes, edges, receipts }: LineageGraph): string {
  return [
    'digraph lineage {',
    `  graph [label=${quoted(`${title}: ${verdict}`)}, labelloc=t, rankdir=TB, fontname="sans-serif"]`,
    '  node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11]',
    ...nodes.map(
      ({ index, title: name, lines, status }) =>
        `  n${index} [label=${quoted([name, ...lines].join('\n'))}, ${COLORS[status]}]`,
    ),
    ...edges.map(
      ([parent, child], i) =>
        `  n${parent} -> n${child}${receipts.has(i) ? ' [style=dotted, label="receipt", fontsize=9]' : ''}`,
    ),
    '}',
    '',
  ].join('\n')
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n', '&': '&amp;' }

/** Its own line ends are the only escapes in it. What somebody else wrote stands for itself: a backslash, and an entity of HTML, too. */
function quoted(text: string): string {
  return `"${text.replace(/[\\"\n&]/g, (character) => ESCAPES[character] as string)}"`
}
