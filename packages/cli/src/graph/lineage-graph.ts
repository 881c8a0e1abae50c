import type { AuditedEntry, TraceReport } from '@kest/audit'
import { type KestEntry, ROOT_PARENT } from '@kest/core'
import { shortHash } from '../show/short-hash.js'
import { visible, visibleList } from '../terminal/escape.js'

/**
 * What is known of a node: as an audit says of entries; `consistent` for one that is verified, but with keys of the file that it is in
 * (K-ANCHOR); `missing` for one that others name and that was never exported.
 */
export type NodeStatus = AuditedEntry['status'] | 'consistent' | 'missing'

/** One entry of a picture. Its texts are visible characters, not yet escaped for a format. */
export interface GraphNode {
  /** Position, from 0. */
  readonly index: number
  readonly status: NodeStatus
  readonly title: string
  /** Below the title, the most important first. */
  readonly lines: readonly string[]
  /** Everything, for whoever looks closer. */
  readonly details: readonly (readonly [label: string, value: string])[]
}

/** A lineage as a picture shows it. */
export interface LineageGraph {
  readonly title: string
  readonly verdict: string
  readonly nodes: readonly GraphNode[]
  /** From parent to child, by position. */
  readonly edges: readonly (readonly [parent: number, child: number])[]
  /** Edges that are not in it, because there are too many. The title says so. */
  readonly omitted: number
  /** What the audit found, the code first. */
  readonly findings: readonly (readonly [code: string, text: string])[]
}

/** Nodes of which a picture can be made: one with more would be of no use to anyone. */
export const MAX_NODES = 1_000
/** Edges of a picture: of more, it has those to the first parents of each entry. */
const MAX_EDGES = 20_000

/**
 * The picture of a trace, or of several that a passport has entries of: facts from signed payloads, and whether they are
 * proven.
 * @param verdict in words
 * @param anchored whether the keys are of the reader's own
 */
export function graphOf(traces: readonly TraceReport[], verdict: string, anchored: boolean): LineageGraph {
  const ordered = traces.toSorted((a, b) => (String(a.traceId) < String(b.traceId) ? -1 : 1))
  const entries = entriesOf(ordered)
  const nodes = entries.map((one, index) => entryNode(one, index, anchored))
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
  for (const { code, entryHash } of ordered.flatMap(({ findings }) => findings)) {
    // Anybody can claim some: they are no reason to draw nothing.
    if (code === 'cut' && entryHash !== null && nodes.length < MAX_NODES) indexOf(entryHash)
  }
  return {
    title:
      ordered.map(titleOf).join(', ') + (omitted === 0 ? '' : ` (${edges.length} of ${links.length} links)`),
    verdict,
    nodes,
    edges,
    omitted,
    findings: ordered.flatMap(({ findings }) =>
      findings.map(({ code, message }) => [code, visible(message)] as const),
    ),
  }
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

function titleOf({ traceId }: TraceReport): string {
  return traceId === null ? 'entries without a trace' : `trace ${traceId}`
}

const STATUS: Readonly<Record<NodeStatus, string>> = {
  verified: 'verified',
  consistent: 'consistent with its keys',
  signed: 'signed, its lineage not proven',
  failed: 'does not hold',
  missing: 'never exported',
}

function entryNode(one: AuditedEntry, index: number, anchored: boolean): GraphNode {
  const { entry, service, trustScore, taints } = one
  const status = one.status === 'verified' && !anchored ? 'consistent' : one.status
  const policies = policiesOf(entry)
  const trust = trustScore === null ? STATUS[status] : `trust ${trustScore}, ${STATUS[status]}`
  return {
    index,
    status,
    title: visible(service),
    lines: [
      visible(entry.operation),
      trust,
      ...(taints.length === 0 ? [] : [`taints: ${visibleList(taints)}`]),
      ...(policies.length === 0 ? [] : [`policies: ${visibleList(policies)}`]),
    ],
    details: detailsOf(one, status, policies),
  }
}

function missingNode(index: number, hash: string): GraphNode {
  return {
    index,
    status: 'missing',
    title: shortHash(hash),
    lines: [STATUS.missing],
    details: [
      ['entry', hash],
      ['verdict', STATUS.missing],
    ],
  }
}

function policiesOf({ policy_context: context }: KestEntry): string[] {
  const { enterprise_policies, platform_policies, app_policies, function_policies } = context
  return [...enterprise_policies, ...platform_policies, ...app_policies, ...function_policies]
}

function detailsOf(one: AuditedEntry, status: NodeStatus, policies: readonly string[]): [string, string][] {
  const { entry, hash, principal, trustScore, taints, identity, failure, tip, source } = one
  const acts = Object.entries(identity ?? {}).flatMap(([name, value]) =>
    value === null ? [] : `${name} ${value}`,
  )
  const time = new Date(entry.timestamp_ms)
  const deviations = entry.policy_context.deviations.map(
    ({ policy, approver }) => `${policy}, approved by ${approver}`,
  )
  const fields: [string, string | null][] = [
    ['verdict', failure === null ? STATUS[status] : `${STATUS[status]} (${failure})`],
    ['principal', visible(principal)],
    ['operation', visible(entry.operation)],
    ['trust', trustScore === null ? null : `${trustScore} (claimed ${entry.trust_score})`],
    ['taints', taints.length === 0 ? null : visibleList(taints)],
    ['policies', policies.length === 0 ? null : visibleList(policies)],
    ['deviations', deviations.length === 0 ? null : visibleList(deviations)],
    ['acts', acts.length === 0 ? null : acts.map(visible).join(', ')],
    ['time', Number.isNaN(time.getTime()) ? String(entry.timestamp_ms) : time.toISOString()],
    ['entry_id', visible(entry.entry_id)],
    ['hash', hash],
    ['parents', entry.parent_ids.join(' ')],
    ['tip', tip ? 'yes' : null],
    ['source', source === 'span' ? null : source === 'passport' ? 'a passport' : 'another trace'],
  ]
  return fields.filter((field): field is [string, string] => field[1] !== null)
}
