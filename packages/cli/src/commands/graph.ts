import { stat } from 'node:fs/promises'
import { oneOf } from '../arguments/choice.js'
import { parseArguments } from '../arguments/parse.js'
import { parseTraceId } from '../arguments/trace-id.js'
import { UsageError } from '../arguments/usage-error.js'
import { auditOne } from '../audit/one-trace.js'
import { findingLines } from '../audit/report-text.js'
import { readTrustOptions, TRUST_HELP, TRUST_OPTIONS, type TrustValues } from '../audit/trust-options.js'
import type { Command, Io } from '../command.js'
import { EXIT, type ExitCode } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { MAX_FILE_BYTES, readText, STDIN } from '../files/read.js'
import { sourcesOf } from '../files/trust.js'
import { writeResult } from '../files/write.js'
import { dotOf } from '../graph/dot.js'
import { evidenceGraph, isEvidence } from '../graph/evidence-graph.js'
import { htmlOf } from '../graph/html.js'
import { graphOf, type LineageGraph, MAX_NODES } from '../graph/lineage-graph.js'
import { mermaidOf } from '../graph/mermaid.js'
import { svgOf } from '../graph/svg.js'
import { verdictWord } from '../graph/verdict.js'

const FORMATS = { mermaid: mermaidOf, dot: dotOf, svg: svgOf, html: htmlOf } as const

const OPTIONS = {
  ...TRUST_OPTIONS,
  trace: { type: 'string' },
  format: { type: 'string', short: 'f' },
  output: { type: 'string', short: 'o' },
  help: { type: 'boolean', short: 'h' },
} as const

const HELP = `Usage: kest graph PATH… [options]

Draws the lineage of a trace: its entries, what they build on, and whether they hold. A
PATH is an evidence file, or exported spans as kest audit reads them; of spans, say whose
keys count. "-" is an evidence file on standard input.

${TRUST_HELP}
  --trace ID          the trace; may be left out when there is only one
  -f, --format FORMAT mermaid (the default), dot (Graphviz), svg, or html: one page that needs
                      nothing else
  -o, --output FILE   where to; default standard output
  -h, --help          this text

Exit status: 0 it is drawn, whatever it shows; 2 a path cannot be read, there is no such
trace, or the command was used wrongly.
`

export const graph: Command = {
  name: 'graph',
  summary: 'draw the lineage of a trace',
  help: HELP,

  async run(argv, io): Promise<ExitCode> {
    const { values, positionals: paths } = parseArguments(argv, OPTIONS)
    if (values.help) {
      await io.stdout.write(HELP)
      return EXIT.holds
    }
    if (paths.length === 0) throw new UsageError('of what? an evidence file, or exported spans')
    const format = oneOf(
      'format',
      values.format ?? 'mermaid',
      Object.keys(FORMATS) as (keyof typeof FORMATS)[],
    )
    const trace = values.trace === undefined ? undefined : parseTraceId(values.trace)
    const drawn = await lineage(paths, trace, values, io)
    if (drawn.nodes.length > MAX_NODES)
      throw new InputError(`the trace has ${drawn.nodes.length} entries; at most ${MAX_NODES} are drawn`)
    if (drawn.omitted > 0)
      await io.stderr.write(
        `kest: ${drawn.omitted} links of ${drawn.omitted + drawn.edges.length} are not drawn\n`,
      )
    await writeResult(FORMATS[format](drawn), values.output, io)
    return EXIT.holds
  },
}

async function lineage(
  paths: readonly string[],
  trace: string | undefined,
  values: TrustValues,
  io: Io,
): Promise<LineageGraph> {
  const [file, ...others] = paths as [string, ...string[]]
  const text = others.length === 0 ? await evidenceText(file, io) : undefined
  if (text === undefined) {
    const trust = sourcesOf(await readTrustOptions(values, io), 'the trust material')
    const { report, general } = await auditOne(paths, io.stdin, trace, { trust })
    await io.stderr.write(findingLines(general, io.stderr.colors))
    return graphOf([report], verdictWord(report.verdict), true)
  }
  if (trace !== undefined) throw new UsageError('--trace is for exported spans')
  const { trust, bundle, keys } = values
  const given = [trust, bundle, keys].some((value) => value !== undefined)
  return await evidenceGraph(text, file, given ? await readTrustOptions(values, io) : undefined)
}

/** The text of a file that is evidence; `undefined` for everything else. */
async function evidenceText(file: string, { stdin }: Io): Promise<string | undefined> {
  if (file === STDIN) return await readText(file, stdin)
  const found = await stat(file).catch(() => undefined)
  if (found === undefined || !found.isFile() || found.size > MAX_FILE_BYTES) return undefined
  const text = await readText(file, stdin).catch(() => undefined)
  return text !== undefined && isEvidence(text) ? text : undefined
}
