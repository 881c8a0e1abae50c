import type { AuditedEntry, TraceReport } from '@kest/audit'
import { bounded } from '../bounded.js'
import { type GraphNode, type NodeStatus, STATUS } from './graph-node.js'
import { plainList } from './plain.js'

/** A value, and what it is made of. */
export type Fact = readonly [label: string, value: string, more?: string]

/** Characters of taints that are said above. */
const MAX_TAINTS = 120
const COUNTED: Readonly<Record<NodeStatus, string>> = {
  ...STATUS,
  consistent: 'consistent',
  signed: 'not proven',
  failed: 'not holding',
}
const NO_ENTRY: ReadonlySet<NodeStatus> = new Set<NodeStatus>(['denied', 'refused', 'missing'])
const GRAVITY = ['error', 'warning', 'note'] as const

/** What a reader wants to know of all of it before he looks at any of it. */
export function factsOf(traces: readonly TraceReport[], nodes: readonly GraphNode[]): readonly Fact[] {
  const entries = nodes.filter(({ status }) => !NO_ENTRY.has(status))
  const tips = traces.flatMap(({ entries: all, tips: ends }) => {
    const last = new Set(ends)
    return all.filter(({ hash }) => last.has(hash))
  })
  const taints = [...new Set(tips.flatMap((tip) => tip.taints))].sort()
  const facts: readonly (readonly [label: string, value: string | null, more?: string])[] = [
    ['Entries', String(entries.length), statusText(nodes)],
    ['Signed by', countText(new Set(entries.map(({ title }) => title)).size, 'service')],
    ['Trust at the end', trustText(tips)],
    ['Taints at the end', ...taintText(taints)],
    ['Denied', ...deniedText(traces)],
    ['Findings', findingText(traces) || 'none'],
    ['Times', timeText(traces)],
  ]
  return facts.filter((fact): fact is Fact => fact[1] !== null)
}

/** How many there are, and how many of them their principals have signed (K-DENIAL). */
function deniedText(traces: readonly TraceReport[]): readonly [string | null, string?] {
  const count = traces.reduce((sum, { denialCount }) => sum + denialCount, 0)
  if (count === 0) return [null]
  const signed = traces.flatMap(({ denials }) => denials.filter(({ proof }) => proof === 'signed')).length
  return signed === 0 ? [countText(count, 'operation')] : [countText(count, 'operation'), `${signed} signed`]
}

/** As many as there is room for, and how many there are. */
function taintText(taints: readonly string[]): readonly [string | null, string?] {
  if (taints.length === 0) return [null]
  const all = plainList(taints)
  return all.length <= MAX_TAINTS ? [all] : [String(taints.length), `${bounded(all, MAX_TAINTS)}…`]
}

/** The least, where all of them have some. */
function trustText(tips: readonly AuditedEntry[]): string | null {
  if (tips.length === 0) return null
  const least = tips.reduce<number | null>(
    (sum, { trustScore }) => (sum === null || trustScore === null ? null : Math.min(sum, trustScore)),
    100,
  )
  return least === null ? 'not proven' : String(least)
}

function statusText(nodes: readonly GraphNode[]): string {
  const parts = (Object.keys(STATUS) as NodeStatus[]).flatMap((status) => {
    const count = nodes.filter((node) => node.status === status).length
    return count === 0 || status === 'denied' || status === 'refused' ? [] : [`${count} ${COUNTED[status]}`]
  })
  return parts.join(', ')
}

function findingText(traces: readonly TraceReport[]): string {
  return GRAVITY.flatMap((severity) => {
    const count = traces
      .flatMap(({ findings }) => findings)
      .reduce((sum, one) => (one.severity === severity ? sum + one.times : sum), 0)
    return count === 0 ? [] : [countText(count, severity)]
  }).join(', ')
}

function timeText(traces: readonly TraceReport[]): string {
  return traces.length > 0 && traces.every(({ time }) => time === 'witnessed')
    ? 'bounded by who received the spans'
    : 'by the word of the signers'
}

function countText(count: number, what: string): string {
  return `${count} ${count === 1 ? what : `${what}s`}`
}
