import { Audit, WhatIf } from '@kest/audit'
import { KestError, type ReplayText } from '@kest/core'
import { listOf } from '../arguments/list.js'
import type { Options } from '../arguments/options.js'
import { UsageError } from '../arguments/usage-error.js'
import { JUDGING_OPTIONS, RAISERS_OPTION, readJudgingOptions } from '../audit/judging-options.js'
import { spansAt } from '../audit/spans-at.js'
import { type About, type Command, defineCommand, type Io } from '../command.js'
import { EXIT } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { readerOf } from '../files/read.js'
import { TemporaryFolder } from '../files/temporary-folder.js'
import { WITHHELD_OPTION, withheldOf } from '../replay/options.js'
import { readTexts, TEXT_HELP } from '../replay/read-text.js'
import { whatIfJson, whatIfText } from '../replay/what-if-report.js'
import { assertStdinOnce, inputsOf, requireTrustOptions, TRUST_OPTIONS } from '../trust/options.js'
import { sourcesOf } from '../trust/read.js'

const OPTIONS = {
  'what-if': {
    type: 'string',
    value: 'FILES',
    choices: 'file',
    help: `The new text. ${TEXT_HELP}`,
  },
  policies: {
    type: 'string',
    multiple: true,
    value: 'NAMES',
    help: `The policies that it would decide, separated by commas; may be repeated. Default all that are on record: a policy that is not in
      the text denies.`,
  },
  ...TRUST_OPTIONS,
  ...JUDGING_OPTIONS,
  ...RAISERS_OPTION,
  ...WITHHELD_OPTION,
  'only-denied': { type: 'boolean', help: 'Shows no policy that would deny nothing.' },
  json: {
    type: 'boolean',
    help: 'One JSON object per operation and policy and line, and one for the summary.',
  },
} as const satisfies Options

const ABOUT: About = {
  name: 'replay',
  usage: ['--what-if FILES PATH… --trust [TRUST-DOMAIN=]FILE [options]'],
  about: `
Asks a new text of policies, before it decides anything, which recorded operations it would
deny: each that is proven, and whose question can be rebuilt from its entry and lineage, is
asked again, policy by policy, in this process. Operations that were denied are not signed,
and are not among them. A PATH is what kest audit takes. kest audit --replay asks the texts
that have decided.`,
  arguments: 'files',
  examples: [
    'kest replay --what-if new-bundle.tar.gz spans/ --trust trust.json',
    'kest replay --what-if new.wasm,data.json spans/ --trust trust.json --policies orders/read --only-denied',
    'kest replay --what-if a.cedar,b.cedar spans/ --trust trust.json --json',
  ],
  exitStatus: `0 it would deny nothing that is on record, 1 it would deny something, or nothing
could be asked, 2 an input cannot be read or the command was used wrongly.`,
}

export const replay: Command = defineCommand(ABOUT, OPTIONS, async ({ values, positionals: paths }, io) => {
  const { 'what-if': file, policies, withheld = [], raisers } = values
  if (file === undefined) throw new UsageError('what if what? --what-if new-bundle.tar.gz')
  if (paths.length === 0)
    throw new UsageError('of which spans? kest replay --what-if FILE spans.jsonl --trust …')
  assertStdinOnce(inputsOf(paths, values))
  const names = policies?.flatMap(listOf)
  if (names !== undefined && (names.length === 0 || names.includes('')))
    throw new UsageError('--policies: expected names of policies, separated by commas')
  const fields = withheldOf(withheld)
  const trust = await sourcesOf(await requireTrustOptions(values, readerOf(io)))
  const judging = await readJudgingOptions(values, readerOf(io))
  const [text] = (await readTexts('what-if', [file])) as [ReplayText]
  const whatIf = new WhatIf({ text, withheld: fields, ...(names !== undefined && { policies: names }) })
  using temporary = await TemporaryFolder.create()
  await using audit = new Audit({
    trust,
    ...judging,
    ...(raisers !== undefined && { raisers: raisers.flatMap(listOf) }),
    folder: temporary.path,
  })
  await readAll(audit, paths, io)
  for await (const one of audit.traces()) whatIf.add(one)
  const report = whatIf.report()
  const shown = values['only-denied'] ? report.rows.filter(({ denied }) => denied > 0) : report.rows
  const { colors } = io.stdout
  for (const piece of (values.json ? whatIfJson : whatIfText)({ ...report, rows: shown }, colors))
    await io.stdout.write(piece)
  if (audit.summary().spans === 0) throw new InputError('no span of Kest is there')
  const asked = report.rows.some(({ allowed, denied }) => allowed + denied > 0)
  return asked && report.operationsDenied === 0 ? EXIT.holds : EXIT.fails
})

async function readAll(audit: Audit, paths: readonly string[], { stdin }: Io): Promise<void> {
  try {
    await audit.read(spansAt(paths, stdin))
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    throw new InputError(cause.message, { cause })
  }
}
