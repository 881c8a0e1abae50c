import { evidenceOf } from '@kest/audit'
import { KestError, parseEvidence, verifyEvidence } from '@kest/core'
import { createX509KeySource } from '@kest/spiffe/verification'
import { parseArguments } from '../arguments/parse.js'
import { parseTraceId } from '../arguments/trace-id.js'
import { UsageError } from '../arguments/usage-error.js'
import { JUDGING_HELP, JUDGING_OPTIONS, readJudgingOptions } from '../audit/judging-options.js'
import { auditOne } from '../audit/one-trace.js'
import { findingLines } from '../audit/report-text.js'
import { assertStdinOnce, readTrustOptions, TRUST_HELP, TRUST_OPTIONS } from '../audit/trust-options.js'
import type { Command } from '../command.js'
import { EXIT, type ExitCode } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { sourcesOf } from '../files/trust.js'
import { writeResult } from '../files/write.js'

const OPTIONS = {
  ...TRUST_OPTIONS,
  ...JUDGING_OPTIONS,
  trace: { type: 'string' },
  tip: { type: 'string' },
  output: { type: 'string', short: 'o' },
  help: { type: 'boolean', short: 'h' },
} as const

const HELP = `Usage: kest evidence PATH… --trace ID [options]

Takes the lineage of a trace out of exported spans, verifies it, and writes it as
evidence: one file that kest verify checks by itself, offline, with nothing else.

${TRUST_HELP}${JUDGING_HELP}
  --trace ID          the trace; may be left out when there is only one
  --tip HASH          the lineage of this entry alone. Without it, all of the trace must be
                      verified.
  -o, --output FILE   where to; default standard output
  -h, --help          this text

Exit status: 0 it is written, 1 what is asked for is not verified, or some of it may be
in what could not be read (nothing is written),
2 a path cannot be read, there is no such trace, or the command was used wrongly.
`

export const evidence: Command = {
  name: 'evidence',
  summary: 'take the lineage of a trace out of exported spans',
  help: HELP,

  async run(argv, io): Promise<ExitCode> {
    const { values, positionals: paths } = parseArguments(argv, OPTIONS)
    if (values.help) {
      await io.stdout.write(HELP)
      return EXIT.holds
    }
    if (paths.length === 0) throw new UsageError('which files, or folders?')
    const { tip } = values
    if (tip !== undefined && !/^[0-9a-f]{64}$/.test(tip))
      throw new UsageError(`--tip: expected an entry hash, got "${tip}"`)
    const trace = values.trace === undefined ? undefined : parseTraceId(values.trace)
    assertStdinOnce(paths, values)
    const trust = await readTrustOptions(values, io)
    const judging = await readJudgingOptions(values, io)
    const { report, general } = await auditOne(paths, io.stdin, trace, {
      trust: sourcesOf(trust, 'the trust material'),
      ...judging,
    })
    await io.stderr.write(findingLines(general, io.stderr.colors))
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
        ...(roots === undefined ? {} : { roots: roots.rules }),
      })
      text = `${JSON.stringify(evidence, null, 2)}\n`
      // What is filed away is what somebody will read: so it is checked as he will.
      await verifyEvidence(parseEvidence(text), { trust, x509: createX509KeySource })
    } catch (cause) {
      if (!(cause instanceof KestError)) throw cause
      await io.stderr.write(findingLines(report.findings, io.stderr.colors))
      if (cause.code === 'ERR_KEST_LIMIT')
        throw new InputError(`${cause.message}; --tip takes a part`, { cause })
      await io.stderr.write(`kest: no evidence: ${cause.message}\n`)
      return EXIT.fails
    }
    await writeResult(text, values.output, io)
    return EXIT.holds
  },
}
