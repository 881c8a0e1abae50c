import { Graph, layout } from '@dagrejs/dagre'
import { bounded } from '../../bounded.js'
import type { Point } from '../../graph/geometry.js'
import { plain } from '../../graph/plain.js'
import { fitted, widthOf } from '../../graph/text-width.js'
import { escapeXml } from '../../graph/xml.js'
import type { ReportData } from '../tally/report-tally.js'
import type { Call, Service } from '../tally/service-tally.js'
import type { Names } from './names.js'
import { counted, number, safe } from './text.js'
import { levelOfTrust } from './values.js'
import { wayOf } from './way.js'

/** What a picture has room for, and the library arranges in a moment; the tables beside it have more. */
const MAX_NODES = 40
const MAX_EDGES = 120
const WIDTH = 168
const HEIGHT = 58
const MARGIN = 12
/** Widths of screens, and how small a picture becomes to fit into one: its texts must be read. */
const SCREENS = { wide: 1_170, narrow: 322 } as const
const SMALLEST = 0.78

/**
 * Who called whom: the services with the most entries, and the most frequent calls among them. It is drawn from left to right, and from
 * above to below for narrow screens, and says nothing that the tables do not. `@dagrejs/dagre` arranges it.
 */
export function serviceMap(data: ReportData, names: Names): string {
  const { services, calls } = data
  const shown = new Map(services.slice(0, MAX_NODES).map((service, index) => [service, index]))
  const edges = calls
    .map((call, index) => ({ call, index }))
    .filter(({ call }) => shown.has(call.from) && shown.has(call.to))
    .slice(0, MAX_EDGES)
  const left = [
    ...(services.length > shown.size ? [counted(services.length - shown.size, 'service')] : []),
    ...(calls.length > edges.length ? [counted(calls.length - edges.length, 'way')] : []),
  ]
  const help = left.length === 0 ? '' : `<p class="help">${left.join(' and ')} more are in the tables.</p>`
  const some = { shown, edges, names }
  return `<div class="map" role="region" aria-label="Picture of calls" tabindex="0">${picture(some, 'wide')}${picture(some, 'narrow')}</div>${help}`
}

interface Shown {
  /** With their places in the tables. */
  readonly shown: ReadonlyMap<Service, number>
  readonly edges: readonly { readonly call: Call; readonly index: number }[]
  readonly names: Names
}

function picture({ shown, edges, names }: Shown, screen: keyof typeof SCREENS): string {
  const across = screen === 'wide'
  const graph = new Graph()
  graph.setGraph({
    rankdir: across ? 'LR' : 'TB',
    nodesep: across ? 22 : 14,
    ranksep: across ? 60 : 70,
    edgesep: 12,
    marginx: MARGIN,
    marginy: MARGIN,
  })
  graph.setDefaultEdgeLabel(() => ({}))
  for (const index of shown.values()) graph.setNode(String(index), { width: WIDTH, height: HEIGHT })
  for (const { call } of edges) {
    const lines = labelLines(call)
    graph.setEdge(endOf(call.from), endOf(call.to), {
      width: labelWidth(lines),
      height: lines.length * 16 + 2,
      labelpos: 'c',
    })
  }
  layout(graph)
  function endOf(service: Service): string {
    return String(shown.get(service))
  }
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number }
  const scale = Math.min(1, Math.max(SMALLEST, SCREENS[screen] / width))
  const ways = edges.map(({ call, index }) => {
    const place = graph.edge(endOf(call.from), endOf(call.to)) as unknown as EdgePlace
    return edgeElement(call, index, place, names, screen)
  })
  const cards = [...shown].map(([service, index]) =>
    nodeElement(service, index, graph.node(String(index)) as Point, names),
  )
  const size = `viewBox="0 0 ${Math.ceil(width)} ${Math.ceil(height)}" width="${Math.ceil(width * scale)}" height="${Math.ceil(height * scale)}"`
  return `<svg class="services ${screen}" ${size} role="group" aria-label="Who called whom; the tables below say the same"><defs><marker id="arrow-${screen}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path class="arrow" d="M0 0 8 4 0 8z"/></marker></defs>${ways.join('')}${cards.join('')}</svg>`
}

interface EdgePlace extends Point {
  readonly points: readonly Point[]
}

export function refusals({ refused, observed }: Pick<Call, 'refused' | 'observed'>): number {
  return refused + observed
}

function labelLines(call: Call): readonly string[] {
  const refused = refusals(call)
  return [
    ...(call.calls > 0 || refused === 0 ? [number(call.calls)] : []),
    ...(refused > 0 ? [`${number(refused)} refused`] : []),
  ]
}

function labelWidth(lines: readonly string[]): number {
  return Math.ceil(Math.max(...lines.map((line) => widthOf(line, 12.5)))) + 8
}

function edgeElement(
  call: Call,
  index: number,
  { points, x, y }: EdgePlace,
  names: Names,
  screen: string,
): string {
  const refused = refusals(call)
  const thick = Math.min(4, 1 + Math.log10(Math.max(1, call.calls)) * 0.6).toFixed(2)
  const lines = labelLines(call)
  const width = labelWidth(lines)
  const top = y - lines.length * 8
  const texts = lines.map((line, i) => {
    const warned = line.endsWith('refused') ? ' class="refused"' : ''
    return `<text${warned} x="${round(x)}" y="${round(top + 12 + i * 16)}" text-anchor="middle">${line}</text>`
  })
  const [from, to] = [call.from, call.to].map(({ principal }) => safe(names.of(principal), 60))
  const said = `${from} to ${to}: ${counted(call.calls, 'call')}${refused > 0 ? `, ${number(refused)} refused` : ''}`
  const way = wayOf(points)
  return `<a class="call${refused > 0 ? ' refused' : ''}" href="#call-${index}" tabindex="-1" aria-label="${said}"><title>${said}</title><path class="way" stroke-width="${thick}" marker-end="url(#arrow-${screen})" d="${way}"/><path class="hit" d="${way}"/><rect class="label" x="${round(x - width / 2)}" y="${round(top)}" width="${width}" height="${lines.length * 16}" rx="4"/>${texts.join('')}</a>`
}

function nodeElement(service: Service, index: number, { x, y }: Point, names: Names): string {
  const at = `${round(x - WIDTH / 2)} ${round(y - HEIGHT / 2)}`
  const tainted = service.taints.names.length > 0
  const name = names.of(service.principal)
  const refused = refusals(service)
  const under = [
    counted(service.entries, 'entry', 'entries'),
    ...(refused > 0 ? [`${number(refused)} refused`] : []),
  ].join(', ')
  const said = [
    safe(name, 80),
    under,
    ...(service.unproven > 0 ? [`${number(service.unproven)} not proven`] : []),
    service.trust.isEmpty ? 'trust not proven' : `trust from ${service.trust.least}`,
    ...(tainted ? ['tainted'] : []),
  ].join(', ')
  const corner = `<path class="corner tainted" d="M${WIDTH - 22} ${HEIGHT}h14a8 8 0 0 0 8-8v-14z"/>`
  return `<a class="service ${levelOfTrust(service.trust)}" href="#service-${index}" aria-label="${said}"><title>${said}</title><g transform="translate(${at})"><rect class="card" width="${WIDTH}" height="${HEIGHT}" rx="8"/><path class="stripe" d="M8 0H6a6 6 0 0 0-6 6v${HEIGHT - 12}a6 6 0 0 0 6 6h2z"/>${tainted ? corner : ''}<text class="name" x="16" y="24">${escapeXml(fitted(plain(bounded(name, 200)), 15, WIDTH - 26))}</text><text class="under" x="16" y="43">${escapeXml(fitted(under, 12.5, WIDTH - 34))}</text></g></a>`
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
