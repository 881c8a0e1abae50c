import type { VerifyEvidenceOptions } from '@kest/core'
import { createX509KeySource } from '@kest/spiffe/verification'
import { oneOf } from '../arguments/choice.js'
import { listOf } from '../arguments/list.js'
import { parseArguments } from '../arguments/parse.js'
import { parseAt } from '../arguments/time.js'
import { UsageError } from '../arguments/usage-error.js'
import { JUDGING_HELP, JUDGING_OPTIONS, readJudgingOptions } from '../audit/judging-options.js'
import { assertStdinOnce } from '../audit/trust-options.js'
import type { Command, Io } from '../command.js'
import { EXIT, type ExitCode, gravest } from '../exit-code.js'
import { readTrust, sourcesOf } from '../files/trust.js'
import { exitCodeOf, judgeFile, type Verdict } from '../verify/verdict.js'
import { verdictJson } from '../verify/verdict-json.js'
import { summaryText, verdictText } from '../verify/verdict-text.js'

const OPTIONS = {
  json: { type: 'boolean' },
  trust: { type: 'string' },
  'trust-domain': { type: 'string' },
  at: { type: 'string' },
  semantics: { type: 'string' },
  raisers: { type: 'string', multiple: true },
  ...JUDGING_OPTIONS,
  help: { type: 'boolean', short: 'h' },
} as const

const HELP = `Usage: kest verify FILE… [options]

Checks evidence files, offline: that every entry was signed by the principal it
names, in this order, and that nothing was altered since. "-" is standard input.

Options only tighten what a file asks for.

  --trust FILE        check against the keys in FILE, and not against those that the evidence
                      brings along: {"keys": {"<principal>": [<JWK>, …]}, "bundles":
                      {"<trust domain>": <SPIFFE bundle>}}, or one SPIFFE bundle. Without it
                      a passport is only shown to be consistent with its own keys.
  --trust-domain NAME whose bundle FILE is
  --at WHEN           when certificates must have been valid: "entry" (each at the time of
                      its entry, the default), "now", or a time such as 2026-01-31T12:00:00Z.
                      A file that fixes another time cannot be checked at this one.
  --semantics MODE    claims of trust, taints, identity and trace that the lineage does not
                      bear out: "report" lists them (the default), "enforce" refuses them.
  --raisers LIST      the principals that may raise trust and remove taints, separated by
                      commas; may be repeated. "" is nobody; the default is everybody.
${JUDGING_HELP}  --json              one JSON object per file and line
  -h, --help          this text

Exit status: 0 all files hold, 1 some do not, 2 some cannot be read as evidence or
the command was used wrongly.
`

export const verify: Command = {
  name: 'verify',
  summary: 'check evidence files, offline',
  help: HELP,

  async run(argv, io): Promise<ExitCode> {
    const { values, positionals: files } = parseArguments(argv, OPTIONS)
    if (values.help) {
      await io.stdout.write(HELP)
      return EXIT.holds
    }
    if (files.length === 0) throw new UsageError('which file? "-" is standard input')
    assertStdinOnce(files, values)
    const options = await verifyOptions(values, io)
    const verdicts: Verdict[] = []
    for (const file of files) {
      const verdict = await judgeFile(file, options, io.stdin)
      verdicts.push(verdict)
      await io.stdout.write(values.json ? verdictJson(verdict) : verdictText(verdict, io.stdout.colors))
    }
    if (!values.json) await io.stdout.write(summaryText(verdicts))
    return gravest(verdicts.map(exitCodeOf))
  },
}

type Values = ReturnType<typeof parseArguments<typeof OPTIONS>>['values']

async function verifyOptions(values: Values, io: Io): Promise<VerifyEvidenceOptions> {
  const { at, semantics, raisers, trust, 'trust-domain': trustDomain } = values
  if (trustDomain !== undefined && trust === undefined)
    throw new UsageError('--trust-domain is for a --trust FILE that is a SPIFFE bundle')
  return {
    x509: createX509KeySource,
    ...(await readJudgingOptions(values, io)),
    ...(at === undefined ? {} : { at: parseAt(at, Date.now()) }),
    ...(semantics === undefined ? {} : { semantics: oneOf('semantics', semantics, ['report', 'enforce']) }),
    ...(raisers === undefined ? {} : { raisers: raisers.flatMap(listOf) }),
    ...(trust === undefined
      ? {}
      : { trust: sourcesOf(await readTrust(trust, trustDomain, io.stdin), `--trust ${trust}`) }),
  }
}
