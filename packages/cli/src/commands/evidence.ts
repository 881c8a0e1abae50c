import { evidenceOf } from '@kest/audit'
import { KestError, parseEvidence, verifyEvidence } from '@kest/core'
import { createX509KeySource } from '@kest/spiffe/verification'
import type { Options } from '../arguments/options.js'
import { parseTraceId } from '../arguments/trace-id.js'
import { UsageError } from '../arguments/usage-error.js'
import { JUDGING_OPTIONS, readJudgingOptions } from '../audit/judging-options.js'
import { auditOne } from '../audit/one-trace.js'
import { findingLines } from '../audit/report-text.js'
import { type About, type Command, defineCommand } from '../command.js'
import { EXIT } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { readerOf } from '../files/read.js'
import { assertNoInput, writeResult } from '../files/write.js'
import { formatOfFile } from '../graph/format.js'
import { assertStdinOnce, inputsOf, requireTrustOptions, TRUST_OPTIONS } from '../trust/options.js'
import { sourcesOf } from '../trust/read.js'
import { UnmetDomains } from '../trust/unmet-domains.js'

const OPTIONS = {
  ...TRUST_OPTIONS,
  ...JUDGING_OPTIONS,
  trace: { type: 'string', value: 'ID', help: 'The trace; may be left out when there is only one.' },
  tip: {
    type: 'string',
    value: 'HASH',
    help: 'The lineage of this entry alone. Without it, all of the trace must be verified.',
  },
  'without-denials': {
    type: 'boolean',
    help: 'Leave out what is signed of refusals: of a trace that has more of it than evidence may hold.',
  },
  output: {
    type: 'string',
    short: 'o',
    value: 'FILE',
    choices: 'file',
    help: 'Where to; default standard output.',
  },
} as const satisfies Options

const ABOUT: About = {
  name: 'evidence',
  usage: ['PATH… --trust [TRUST-DOMAIN=]FILE --trace ID [options]'],
  about: `
Takes the lineage of a trace out of exported spans, and what is signed of refusals in it,
verifies it, and writes it as evidence: one file that kest verify checks by itself,
offline, with nothing else.`,
  arguments: 'files',
  examples: [
    'kest evidence spans/ --trust example.org=bundle.json --roots kest.yaml -o evidence.json',
    'kest evidence spans.jsonl --trust trust.json | kest verify -',
  ],
  exitStatus: `0 it is written, 1 what is asked for is not verified, or some of it may be
in what could not be read (nothing is written),
2 a path cannot be read, there is no such trace, or the command was used wrongly.`,
}

export const evidence: Command = defineCommand(ABOUT, OPTIONS, async ({ values, positionals: paths }, io) => {
  if (paths.length === 0) throw new UsageError('which files, or folders? kest evidence spans.jsonl --trust …')
  assertJson(values.output)
  const { tip } = values
  if (tip !== undefined && !/^[0-9a-f]{64}$/.test(tip))
    throw new UsageError(`--tip: expected an entry hash, got "${tip}"`)
  const trace = values.trace === undefined ? undefined : parseTraceId(values.trace)
  const inputs = inputsOf(paths, values)
  assertStdinOnce(inputs)
  await assertNoInput(values.output, inputs)
  const trust = await requireTrustOptions(values, readerOf(io))
  const judging = await readJudgingOptions(values, readerOf(io))
  const { report, general } = await auditOne(paths, io.stdin, trace, {
    trust: await sourcesOf(trust),
    ...judging,
  })
  await io.stderr.write(findingLines(general, io.stderr.colors))
  const unmet = new UnmetDomains(trust)
  unmet.see(report.entries)
  await io.stderr.write(unmet.hint())
  if (tip === undefined && general.some(({ severity }) => severity === 'error')) {
    await io.stderr.write(
      'kest: no evidence: some of the trace may be in what was not read; --tip takes a part\n',
    )
    return EXIT.fails
  }
  let text: string
  try {
    const { roots } = judging
    const evidence = evidenceOf(report, {
      trust,
      ...(tip === undefined ? {} : { tip }),
      denials: values['without-denials'] !== true,
      ...(roots === undefined ? {} : { roots: roots.rules }),
    })
    text = `${JSON.stringify(evidence, null, 2)}\n`
    // What is filed away is what somebody will read: so it is checked as he will.
    await verifyEvidence(parseEvidence(text), { trust, x509: createX509KeySource })
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    await io.stderr.write(findingLines(report.findings, io.stderr.colors))
    if (cause.code === 'ERR_KEST_LIMIT')
      throw new InputError(`${cause.message}; --tip takes a part, --without-denials what was done`, { cause })
    await io.stderr.write(`kest: no evidence: ${cause.message}\n`)
    return EXIT.fails
  }
  await writeResult(text, values.output, io)
  return EXIT.holds
})

/** @throws {UsageError} for a file that asks for a picture */
function assertJson(output: string | undefined): void {
  const format = formatOfFile(output)
  if (format === undefined) return
  throw new UsageError(
    `--output ${output}: evidence is JSON; of evidence in case.json, kest graph case.json -o ${output} makes a picture`,
  )
}
