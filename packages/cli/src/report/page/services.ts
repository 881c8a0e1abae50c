import type { ReportData } from '../tally/report-tally.js'
import type { Call, Service } from '../tally/service-tally.js'
import { Names } from './names.js'
import { pageLink } from './page-link.js'
import { refusals, serviceMap } from './service-map.js'
import { type Row, tableElement } from './table.js'
import { isolated, number } from './text.js'
import { namesText, trustText } from './values.js'

const CALL_COLUMNS = [
  { title: 'From' },
  { title: 'To' },
  { title: 'Calls', number: true },
  { title: 'Refused', number: true },
  { title: 'By' },
  { title: 'Trust there' },
  { title: 'Taints there' },
  { title: 'Example' },
] as const
const SERVICE_COLUMNS = [
  { title: 'Service' },
  { title: 'Entries', number: true },
  { title: 'Not proven', number: true },
  { title: 'Begins', number: true },
  { title: 'Refused', number: true },
  { title: 'Trust' },
  { title: 'Taints' },
] as const

/** Who called whom, how often, refused how often and by what; and what trust and taints were there. */
export function serviceSection(data: ReportData): string {
  const { services, calls } = data
  const names = new Names(services)
  const where = names.domain === null ? '' : ` All of them are in ${isolated(names.domain)}.`
  const body =
    services.length === 0
      ? '<p>No entry is signed by anybody who is known.</p>'
      : `<p class="help">By what is signed: an entry of one that builds on an entry of another. Refused is what was denied, as its workload has signed or as unsigned spans say, and what was only observed.${where}</p>
${serviceMap(data, names)}${LEGEND}
<h3>Calls</h3>${
          calls.length === 0
            ? '<p>None.</p>'
            : tableElement(
                'Calls between services',
                CALL_COLUMNS,
                calls.map((call, index) => callRow(call, index, names)),
              )
        }
<h3>Services</h3>${tableElement(
          'Services',
          SERVICE_COLUMNS,
          services.map((service, index) => serviceRow(service, index, names)),
        )}`
  return `<section id="services" aria-labelledby="h-services"><h2 id="h-services">Map of services</h2>
${body}</section>`
}

const LEGEND = `<ul class="legend" aria-label="Legend">${[
  ['high', 'trust 80–100'],
  ['medium', 'trust 40–79'],
  ['low', 'trust 1–39'],
  ['none', 'trust 0'],
  ['unproven', 'trust not proven'],
]
  .map(([level, text]) => `<li><span class="swatch ${level}"></span>${text}</li>`)
  .join(
    '',
  )}<li><span class="swatch corner tainted"></span>tainted</li><li><span class="swatch line"></span>refused</li></ul>`

function callRow(call: Call, index: number, names: Names): Row {
  const { from, to, calls, unproven, trust, taints, refused, observed, policies, page } = call
  return {
    id: `call-${index}`,
    cells: [
      isolated(names.of(from.principal)),
      isolated(names.of(to.principal)),
      `${number(calls)}${unproven > 0 ? `<br><span class="dim">${number(unproven)} not proven</span>` : ''}`,
      refusals(call) === 0
        ? '0'
        : [
            ...(refused > 0 ? [`${number(refused)} denied`] : []),
            ...(observed > 0 ? [`${number(observed)} observed`] : []),
          ].join('<br>'),
      namesText(policies, 4),
      trustText(trust),
      namesText(taints, 4),
      page === null ? '' : pageLink(page, 'trace'),
    ],
  }
}

function serviceRow(service: Service, index: number, names: Names): Row {
  const { principal, entries, unproven, begun, trust, taints, refused, observed } = service
  return {
    id: `service-${index}`,
    cells: [
      isolated(names.of(principal)),
      number(entries),
      number(unproven),
      number(begun),
      number(refused + observed),
      trustText(trust),
      namesText(taints, 4),
    ],
  }
}
