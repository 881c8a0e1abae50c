import type { AuditedEntry, AuditFinding, Denial, Receipt, TraceReport } from '@kest/audit'
import { ROOT_PARENT } from '@kest/core'
import { InputError } from '../files/input-error.js'
import { deniedNode, entryNode, heldNode, missingNode } from './entry-node.js'
import { type Fact, factsOf } from './facts.js'
import type { GraphNode } from './graph-node.js'
import { plain } from './plain.js'

/** A lineage as a picture shows it. */
export interface LineageGraph {
  readonly title: string
  readonly verdict: string
  readonly facts: readonly Fact[]
  readonly nodes: readonly GraphNode[]
  /** From parent to child, by position. */
  readonly edges: readonly (readonly [parent: number, child: number])[]
  /** Which of the edges, by position, are receipts: from what a callee recorded to who holds that (K-RECEIPT). The others are lineage. */
  readonly receipts: ReadonlySet<number>
  /** Edges that are not in it, because there are too many. The title says so. */
  readonly omitted: number
  readonly findings: readonly GraphFinding[]
  readonly denials: readonly GraphDenial[]
  /** All there are. */
  readonly denialCount: number
}

/** What the audit found, and the node that it is about. */
export interface GraphFinding extends Pick<AuditFinding, 'severity' | 'code'> {
  readonly text: string
  readonly node: number | null
}

/** An operation that did not run, and its node: not all are drawn. */
export interface GraphDenial {
  /** Whether its principal has signed it: else a span says so. */
  readonly signed: boolean
  readonly operation: string
  /** By whom, and why. */
  readonly text: string
  readonly node: number | null
}

/** Nodes of which a picture can be made: one with more would be of no use to anyone. */
export const MAX_NODES = 1_000
/** Edges of a picture: of more, it has those to the first parents of each entry. */
const MAX_EDGES = 20_000
/** Denials that are drawn; anybody who can export spans makes them. */
const MAX_DENIED = 40
/** Characters of signed entries that are among the details: all of them, or none. */
const MAX_SIGNED = 4_194_304

/**
 * The picture of a trace, or of several that a passport has entries of: facts from signed payloads, and whether they are
 * proven.
 * @param verdict in words
 * @param anchored whether the keys are of the reader's own
 * @throws {InputError} when it has more entries than are drawn
 */
export function graphOf(traces: readonly TraceReport[], verdict: string, anchored: boolean): LineageGraph {
  const ordered = traces.toSorted((a, b) => (String(a.traceId) < String(b.traceId) ? -1 : 1))
  const entries = entriesOf(ordered)
  if (entries.length > MAX_NODES)
    throw new InputError(`the trace has ${entries.length} entries; at most ${MAX_NODES} are drawn`)
  const whole = entries.reduce((sum, { jws }) => sum + jws.length, 0) <= MAX_SIGNED
  const nodes = entries.map((one, index) => entryNode(one, index, anchored, whole))
  const byHash = new Map(entries.map(({ hash }, index) => [hash, index]))
  const indexOf = (hash: string): number => {
    const known = byHash.get(hash)
    if (known !== undefined) return known
    byHash.set(hash, nodes.length)
    return nodes.push(missingNode(nodes.length, hash)) - 1
  }
  const links = linksOf(entries)
  const edges = firstOf(links).map(({ parent, child }) => [indexOf(parent), child] as const)
  const omitted = links.length - edges.length
  const found = ordered.flatMap(({ findings }) => findings)
  for (const { code, entryHash } of found) {
    // Anybody can claim some: they are no reason to draw nothing.
    if (code === 'cut' && entryHash !== null && nodes.length < MAX_NODES) indexOf(entryHash)
  }
  const receipts = new Set<number>()
  for (const receipt of ordered.flatMap((trace) => trace.receipts)) {
    let held = byHash.get(receipt.hash)
    if (held === undefined || nodes[held]?.status === 'missing') {
      if (held === undefined && nodes.length >= MAX_NODES) continue
      const node = heldNode(receipt, held ?? nodes.length)
      if (held === undefined) byHash.set(receipt.hash, nodes.push(node) - 1)
      else nodes[held] = node
      held = node.index
    }
    const holders = receipt.namedBy.flatMap((hash) => byHash.get(hash) ?? [])
    const from = held
    // Where no entry names it, it is with whoever it builds on.
    const links =
      holders.length > 0 ? holders.map((to) => [from, to] as const) : givenTo(receipt, from, byHash)
    for (const link of links) if (edges.length < MAX_EDGES) receipts.add(edges.push(link) - 1)
  }
  const listed = ordered.flatMap(({ denials }) => denials)
  const room = Math.max(0, Math.min(MAX_DENIED, MAX_NODES - nodes.length))
  const denials = listed.map((denial, i): GraphDenial => {
    if (i >= room) return { ...denialText(denial), node: null }
    const node = nodes.push(deniedNode(denial, nodes.length)) - 1
    // They name what they like, and nothing is drawn for them that is not there.
    for (const parent of new Set(denial.parents.flatMap((hash) => byHash.get(hash) ?? [])))
      edges.push([parent, node])
    return { ...denialText(denial), node }
  })
  return {
    title:
      ordered.map(titleOf).join(', ') +
      (omitted === 0 ? '' : ` (${links.length - omitted} of ${links.length} links)`),
    verdict,
    facts: factsOf(ordered, nodes),
    nodes,
    edges,
    receipts,
    omitted,
    findings: found.map(({ severity, code, message, entryHash }) => {
      const node = entryHash === null ? null : (byHash.get(entryHash) ?? null)
      return { severity, code, text: plain(message), node }
    }),
    denials,
    denialCount: ordered.reduce((sum, { denialCount }) => sum + denialCount, 0),
  }
}

function givenTo(
  { parents, exported }: Receipt,
  held: number,
  byHash: ReadonlyMap<string, number>,
): (readonly [number, number])[] {
  return exported
    ? []
    : parents.flatMap((hash) => byHash.get(hash) ?? []).map((parent) => [parent, held] as const)
}

interface Link {
  /** Its hash. */
  readonly parent: string
  readonly child: number
  /** Which of the child's parents it is. */
  readonly rank: number
}

function linksOf(entries: readonly AuditedEntry[]): Link[] {
  return entries.flatMap(({ entry }, child) =>
    entry.parent_ids.flatMap((parent, rank) => (parent === ROOT_PARENT ? [] : [{ parent, child, rank }])),
  )
}

/** As many as are drawn. Each entry keeps what it can: anybody can make one with hundreds of parents. */
function firstOf(links: readonly Link[]): readonly Link[] {
  if (links.length <= MAX_EDGES) return links
  const kept = links.toSorted((a, b) => a.rank - b.rank).slice(0, MAX_EDGES)
  return kept.sort((a, b) => a.child - b.child || a.rank - b.rank)
}

/** Each entry once: as its own trace has it, where another builds on it, too. Parents still come before what builds on them. */
function entriesOf(traces: readonly TraceReport[]): readonly AuditedEntry[] {
  const byHash = new Map<string, AuditedEntry>()
  for (const one of traces.flatMap(({ entries }) => entries)) {
    if (one.source !== 'foreign' || !byHash.has(one.hash)) byHash.set(one.hash, one)
  }
  return [...byHash.values()]
}

function titleOf({ traceId, entries }: TraceReport): string {
  if (traceId !== null) return `trace ${traceId}`
  return entries.length === 0 ? 'denials without a trace' : 'entries without a trace'
}

function denialText(denial: Denial): Omit<GraphDenial, 'node'> {
  const { operation, workloadId, service, code, reason, proof } = denial
  const parts = [
    workloadId ?? service ?? 'nobody named',
    code ?? 'no code',
    ...(reason === null ? [] : [reason]),
  ]
  return {
    signed: proof === 'signed',
    operation: plain(operation ?? 'an operation'),
    text: parts.map(plain).join(', '),
  }
}
