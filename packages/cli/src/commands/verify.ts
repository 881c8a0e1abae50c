import type { TrustDocument, VerifyEvidenceOptions } from '@kest/core'
import { createX509KeySource } from '@kest/spiffe/verification'
import { oneOf } from '../arguments/choice.js'
import { listOf } from '../arguments/list.js'
import type { Options } from '../arguments/options.js'
import type { parseArguments } from '../arguments/parse.js'
import { parseAt } from '../arguments/time.js'
import { UsageError } from '../arguments/usage-error.js'
import { JUDGING_OPTIONS, RAISERS_OPTION, readJudgingOptions } from '../audit/judging-options.js'
import { type About, type Command, defineCommand, type Io } from '../command.js'
import { EXIT, type ExitCode, gravest } from '../exit-code.js'
import { readerOf } from '../files/read.js'
import { visible } from '../terminal/escape.js'
import { assertStdinOnce, inputsOf, readTrustOptions, TRUST_OPTIONS } from '../trust/options.js'
import { sourcesOf } from '../trust/read.js'
import { UnmetDomains } from '../trust/unmet-domains.js'
import { verdictsAt } from '../verify/in-folder.js'
import { exitCodeOf, type Verdict } from '../verify/verdict.js'
import { verdictJson } from '../verify/verdict-json.js'
import { Tally, verdictText } from '../verify/verdict-text.js'

const SEMANTICS = ['report', 'enforce'] as const

const OPTIONS = {
  ...TRUST_OPTIONS,
  at: {
    type: 'string',
    value: 'WHEN',
    choices: ['entry', 'now'],
    help: `When certificates must have been valid: "entry" (each at the time of its entry, the default), "now", or a time such as
      2026-01-31T12:00:00Z. A file that fixes another time cannot be checked at this one.`,
  },
  semantics: {
    type: 'string',
    value: 'MODE',
    choices: SEMANTICS,
    help: `Claims of trust, taints, identity and trace that the lineage does not bear out: "report" lists them (the default),
      "enforce" refuses them.`,
  },
  ...RAISERS_OPTION,
  ...JUDGING_OPTIONS,
  json: { type: 'boolean', help: 'One JSON object per file and line.' },
  'only-findings': {
    type: 'boolean',
    help: 'Shows no file but those that do not hold, or of which there is a finding; the summary counts all.',
  },
} as const satisfies Options

const ABOUT: About = {
  name: 'verify',
  usage: ['PATH… [options]'],
  about: `
Checks evidence files, offline: that every entry was signed by the principal it
names, in this order, and that nothing was altered since. A PATH is a file, or a folder
with evidence in it and in its folders; "-" is standard input.

Options only tighten what a file asks for. Without --trust the keys in a file are used,
and a passport is only shown to be consistent with its own keys.`,
  arguments: 'files',
  examples: [
    'kest verify evidence.json --trust example.org=bundle.json',
    'kest verify evidence.json --trust trust.json --roots kest.yaml --semantics enforce',
    'kest verify evidence/ --trust trust.json --json --only-findings',
  ],
  exitStatus: `0 all files hold, 1 some do not, 2 some cannot be read as evidence or
the command was used wrongly.`,
}

export const verify: Command = defineCommand(ABOUT, OPTIONS, async ({ values, positionals: paths }, io) => {
  if (paths.length === 0)
    throw new UsageError('which file, or folder? kest verify evidence.json; "-" is standard input')
  assertStdinOnce(inputsOf(paths, values))
  const trust = await readTrustOptions(values, readerOf(io))
  const options = await verifyOptions(values, trust, io)
  const unmet = trust === undefined ? null : new UnmetDomains(trust)
  const tally = new Tally()
  let code: ExitCode = EXIT.holds
  let shown = 0
  for (const path of paths) {
    for await (const one of verdictsAt(path, options, io.stdin)) {
      if ('why' in one) {
        await io.stderr.write(`kest: ${visible(one.file)}: no evidence, passed over: ${visible(one.why)}\n`)
        continue
      }
      tally.add(one)
      code = gravest([code, exitCodeOf(one)])
      if (!one.ok) unmet?.see(one.entries)
      if (values['only-findings'] && isUnremarkable(one)) continue
      shown++
      await io.stdout.write(values.json ? verdictJson(one) : verdictText(one, io.stdout.colors))
    }
  }
  if (!values.json) await io.stdout.write(tally.text(shown))
  await io.stderr.write(unmet?.hint() ?? '')
  return code
})

function isUnremarkable(verdict: Verdict): boolean {
  return verdict.ok && verdict.passport.findings.length === 0
}

type Values = ReturnType<typeof parseArguments<typeof OPTIONS>>['values']

async function verifyOptions(
  values: Values,
  trust: TrustDocument | undefined,
  io: Io,
): Promise<VerifyEvidenceOptions> {
  const { at, semantics, raisers } = values
  return {
    x509: createX509KeySource,
    ...(await readJudgingOptions(values, readerOf(io))),
    ...(at === undefined ? {} : { at: parseAt(at, Date.now()) }),
    ...(semantics === undefined ? {} : { semantics: oneOf('semantics', semantics, SEMANTICS) }),
    ...(raisers === undefined ? {} : { raisers: raisers.flatMap(listOf) }),
    ...(trust === undefined ? {} : { trust: await sourcesOf(trust) }),
  }
}
