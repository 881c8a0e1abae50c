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
    'p50, ms',
    'p99, ms',
    'alone, ms',
    'CPU of services, µs',
    'of OPA and Collector, µs',
  ]
  const rows = figures.map(({ variant, perSecond, ofBare, p50, p99, alone, cpu }) => [
    variant.name,
    perSecond.toFixed(0),
    ofBare.toFixed(2),
    p50.toFixed(1),
    p99.toFixed(1),
    alone.toFixed(1),
    cpu.services.toFixed(0),
    cpu.servers.toFixed(0),
  ])
  return table(head, rows)
}

export type SharesByVariant = readonly (readonly [string, Readonly<Record<Share, number>>])[]

export function sharesTable(profiles: SharesByVariant): string {
  const rows = SHARES.map((share) => [share, ...profiles.map(([, shares]) => percent(shares, share))])
  return table(['CPU time of the services goes to', ...profiles.map(([name]) => name)], rows)
}

function percent(shares: Readonly<Record<Share, number>>, share: Share): string {
  const all = Object.values(shares).reduce((sum, value) => sum + value, 0)
  return `${((shares[share] / all) * 100).toFixed(0)} %`
}

export function lengthTable(figures: readonly LengthFigure[]): string {
  const total = { full: 0, tip: 0 }
  const rows = figures.map(({ hops, header, full, tip }) => {
    total.full += full
    total.tip += tip
    const cells = [full, tip, total.full, total.tip].map((value) => value.toFixed(0))
    return [String(hops), String(header), ...cells]
  })
  const head = [
    'hops',
    'header, characters',
    'this hop, `full`, µs',
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
