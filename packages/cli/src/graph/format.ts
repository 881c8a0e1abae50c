import { extname } from 'node:path'
import { oneOf } from '../arguments/choice.js'
import { UsageError } from '../arguments/usage-error.js'
import { dotOf } from './dot.js'
import { htmlOf } from './html.js'
import type { LineageGraph } from './lineage-graph.js'
import { mermaidOf } from './mermaid.js'
import { svgOf } from './svg.js'

const FORMATS = { mermaid: mermaidOf, dot: dotOf, svg: svgOf, html: htmlOf } as const

type Format = keyof typeof FORMATS

export const FORMAT_NAMES = Object.keys(FORMATS) as readonly Format[]

/** What the name of a file says. */
const EXTENSIONS: ReadonlyMap<string, Format> = new Map([
  ['.html', 'html'],
  ['.htm', 'html'],
  ['.svg', 'svg'],
  ['.dot', 'dot'],
  ['.gv', 'dot'],
  ['.mmd', 'mermaid'],
  ['.mermaid', 'mermaid'],
])

/** The format of a picture that the name of a file asks for; `undefined` when it asks for none. */
export function formatOfFile(file: string | undefined): Format | undefined {
  return EXTENSIONS.get(extname(file ?? '').toLowerCase())
}

/**
 * What draws a picture: in the format that is named, or that the output's name asks for; else in Mermaid.
 *
 * @throws {UsageError} for an unknown format, two that contradict each other, or a name that asks for another
 */
export function drawerOf(
  format: string | undefined,
  output: string | undefined,
): (drawn: LineageGraph) => string {
  const asked = formatOfFile(output)
  if (format === undefined) return FORMATS[asked ?? defaultFor(output)]
  const named = oneOf('format', format, FORMAT_NAMES)
  if (asked !== undefined && asked !== named)
    throw new UsageError(`--format ${format} and --output ${output}, which asks for ${asked}: leave one out`)
  return FORMATS[named]
}

function defaultFor(output: string | undefined): Format {
  const extension = extname(output ?? '')
  if (extension === '') return 'mermaid'
  const known = [...EXTENSIONS.keys()].join(', ')
  throw new UsageError(
    `--output ${output}: ${extension} says no format: --format ${FORMAT_NAMES.join(' or ')}, or a name that ends in ${known}`,
  )
}
