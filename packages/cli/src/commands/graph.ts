import { stat } from 'node:fs/promises'
import type { Options } from '../arguments/options.js'
import { parseTraceId } from '../arguments/trace-id.js'
import { UsageError } from '../arguments/usage-error.js'
import { auditOne } from '../audit/one-trace.js'
import { findingLines } from '../audit/report-text.js'
import { type About, type Command, defineCommand, type Io } from '../command.js'
import { EXIT } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { MAX_FILE_BYTES, readerOf, readText, STDIN } from '../files/read.js'
import { assertNoInput, writeResult } from '../files/write.js'
import { evidenceGraph, isEvidence } from '../graph/evidence-graph.js'
import { drawerOf, FORMAT_NAMES } from '../graph/format.js'
import { graphOf, type LineageGraph, MAX_NODES } from '../graph/lineage-graph.js'
import { verdictWord } from '../graph/verdict.js'
import {
  assertStdinOnce,
  inputsOf,
  readTrustOptions,
  requireTrustOptions,
  TRUST_OPTIONS,
  type TrustValues,
} from '../trust/options.js'
import { sourcesOf } from '../trust/read.js'
import { UnmetDomains } from '../trust/unmet-domains.js'

const OPTIONS = {
  ...TRUST_OPTIONS,
  trace: { type: 'string', value: 'ID', help: 'The trace; may be left out when there is only one.' },
  format: {
    type: 'string',
    short: 'f',
    value: 'FORMAT',
    choices: FORMAT_NAMES,
    help: `mermaid, dot (Graphviz), svg, or html: one page that needs nothing else. The default is what the name of the output
      ends in, or mermaid.`,
  },
  output: {
    type: 'string',
    short: 'o',
    value: 'FILE',
    choices: 'file',
    help: 'Where to; default standard output. .html, .svg, .dot, .gv, .mmd and .mermaid say the format.',
  },
} as const satisfies Options

const ABOUT: About = {
  name: 'graph',
  usage: ['FILE [options]', 'PATH… --trust [TRUST-DOMAIN=]FILE [options]'],
  about: `
Draws the lineage of a trace: its entries, what they build on, and whether they hold. FILE
is an evidence file; a PATH has exported spans as kest audit reads them; of spans, say
whose keys count. "-" is an evidence file on standard input.`,
  arguments: 'files',
  examples: [
    'kest graph evidence.json -o lineage.html',
    'kest graph spans/ --trust example.org=bundle.json -o lineage.svg',
    'kest graph evidence.json --trust trust.json -f dot > lineage.dot',
  ],
  exitStatus: `0 it is drawn, whatever it shows; 2 a path cannot be read, there is no such
trace, or the command was used wrongly.`,
}

export const graph: Command = defineCommand(ABOUT, OPTIONS, async ({ values, positionals: paths }, io) => {
  if (paths.length === 0)
    throw new UsageError(
      'of what? kest graph evidence.json, or exported spans: kest graph spans.jsonl --trust …',
    )
  const draw = drawerOf(values.format, values.output)
  const trace = values.trace === undefined ? undefined : parseTraceId(values.trace)
  const inputs = inputsOf(paths, values)
  assertStdinOnce(inputs)
  await assertNoInput(values.output, inputs)
  const drawn = await lineage(paths, trace, values, io)
  if (drawn.nodes.length > MAX_NODES)
    throw new InputError(`the trace has ${drawn.nodes.length} entries; at most ${MAX_NODES} are drawn`)
  if (drawn.omitted > 0)
    await io.stderr.write(
      `kest: ${drawn.omitted} links of ${drawn.omitted + drawn.edges.length} are not drawn\n`,
    )
  await writeResult(draw(drawn), values.output, io)
  return EXIT.holds
})

async function lineage(
  paths: readonly string[],
  trace: string | undefined,
  values: TrustValues,
  io: Io,
): Promise<LineageGraph> {
  const [file, ...others] = paths as [string, ...string[]]
  const text = others.length === 0 ? await evidenceText(file, io) : undefined
  if (text === undefined) {
    const given = await requireTrustOptions(values, readerOf(io))
    const trust = await sourcesOf(given)
    const { report, general } = await auditOne(paths, io.stdin, trace, { trust })
    const unmet = new UnmetDomains(given)
    unmet.see(report.entries)
    await io.stderr.write(findingLines(general, io.stderr.colors) + unmet.hint())
    return graphOf([report], verdictWord(report.verdict), true)
  }
  if (trace !== undefined) throw new UsageError('--trace is for exported spans')
  return await evidenceGraph(text, file, await readTrustOptions(values, readerOf(io)))
}

/** The text of a file that is evidence; `undefined` for everything else. */
async function evidenceText(file: string, { stdin }: Io): Promise<string | undefined> {
  if (file === STDIN) return await readText(file, stdin)
  const found = await stat(file).catch(() => undefined)
  if (found === undefined || !found.isFile() || found.size > MAX_FILE_BYTES) return undefined
  const text = await readText(file, stdin).catch(() => undefined)
  return text !== undefined && isEvidence(text) ? text : undefined
}
