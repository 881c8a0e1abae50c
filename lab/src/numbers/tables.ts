import type { LengthFigure } from './chain-length.js'
import type { ChainFigure } from './measure-chain.js'
import { SHARES, type Share } from './profile.js'

/** A table of Markdown. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  const rule = `|---|${'---:|'.repeat(head.length - 1)}`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

export function chainTable(figures: readonly ChainFigure[]): string {
  const head = [
    'chain',
    'requests/s',
    'of bare',
    'of floor',
    'p50, ms',
    'p99, ms',
    'alone, ms',
    'CPU of services, µs',
    'floor of that',
    'of OPA and Collector, µs',
  ]
  const rows = figures.map(({ variant, perSecond, ofBare, ofFloor, p50, p99, alone, cpu, cpuOfFloor }) => [
    variant.name,
    perSecond.toFixed(0),
    ofBare.toFixed(2),
    ofFloor.toFixed(2),
    p50.toFixed(1),
    p99.toFixed(1),
    alone.toFixed(1),
    cpu.services.toFixed(0),
    cpuOfFloor.toFixed(2),
    cpu.servers.toFixed(0),
  ])
  return table(head, rows)
}

/** What was measured on one Node. */
export interface NodeFigures {
  /** As `v24.1.0`. */
  readonly node: string
  readonly chain: readonly ChainFigure[]
}

/** The same chains on several Nodes: what the floor is of what they cost, in CPU time and in requests. */
export function nodesTable(nodes: readonly NodeFigures[]): string {
  const head = nodes.flatMap(({ node }) => [
    `CPU of services on ${node}, µs`,
    'floor of that',
    'requests, of bare',
    'of floor',
  ])
  const cells = ({ chain }: NodeFigures, row: number): readonly string[] => {
    const { cpu, cpuOfFloor, ofBare, ofFloor } = chain[row] as ChainFigure
    return [cpu.services.toFixed(0), ...[cpuOfFloor, ofBare, ofFloor].map((ratio) => ratio.toFixed(2))]
  }
  const rows = nodes[0]?.chain.map(({ variant }, row) => [
    variant.name,
    ...nodes.flatMap((figures) => cells(figures, row)),
  ])
  return table(['chain', ...head], rows ?? [])
}

/** Microseconds of a request, by variant. */
export type SharesByVariant = readonly (readonly [string, Readonly<Record<Share, number>>])[]

/** @param profiles the bare chain first, the floor next */
export function sharesTable(profiles: SharesByVariant): string {
  const head = ['CPU time of the services goes to', ...profiles.map(([name]) => `${name}, µs`)]
  const rows = SHARES.map((share) => [share, ...profiles.map(([, shares]) => shares[share].toFixed(0))])
  const totals = profiles.map(([, shares]) => Object.values(shares).reduce((sum, value) => sum + value, 0))
  const beside = (i: number): readonly string[] =>
    totals.map((total) => (total / (totals[i] ?? Number.NaN)).toFixed(2))
  return table(head, [
    ...rows,
    ['all of it', ...totals.map((total) => total.toFixed(0))],
    ['… × bare', ...beside(0)],
    ['… × floor', ...beside(1)],
  ])
}

export function lengthTable(figures: readonly LengthFigure[]): string {
  const total = { full: 0, tip: 0 }
  const rows = figures.map(({ hops, header, full, tip, floor }) => {
    total.full += full
    total.tip += tip
    const cells = [floor, full, tip, total.full, total.tip].map((value) => value.toFixed(0))
    return [String(hops), String(header), ...cells.slice(0, 2), (floor / full).toFixed(2), ...cells.slice(2)]
  })
  const head = [
    'hops',
    'header, characters',
    'this hop at its floor, µs',
    '`full`, µs',
    'floor of that',
    '`tip`, µs',
    'whole chain, `full`, µs',
    '`tip`, µs',
  ]
  return table(
    head,
    rows.filter(([hops]) => isShown(Number(hops))),
  )
}

/** Enough to see how it grows. */
function isShown(hops: number): boolean {
  return hops <= 5 || hops % 5 === 0
}
