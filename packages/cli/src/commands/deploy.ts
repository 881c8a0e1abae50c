import { type Deployment, deploymentInForce, KestConfigError, readDeploymentFile } from '@kest/core'
import { oneOf } from '../arguments/choice.js'
import { listOf } from '../arguments/list.js'
import { OPA_OPTIONS, opasOf } from '../arguments/opa.js'
import type { Options } from '../arguments/options.js'
import { parseTime } from '../arguments/time.js'
import { UsageError } from '../arguments/usage-error.js'
import { type About, type Command, defineCommand } from '../command.js'
import { endWarnings } from '../deploy/ends.js'
import { unknownPolicies } from '../deploy/known-policies.js'
import { type Asked, checkedJson, checkedText, invalidJson } from '../deploy/report.js'
import { unmatched } from '../deploy/unmatched.js'
import { WARNING_CODES, type WarningCode } from '../deploy/warning.js'
import { EXIT } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { visible } from '../terminal/escape.js'

const FAIL_ON = [...WARNING_CODES, 'all', 'none'] as const
const DEFAULT_FAIL_ON = ['expired', 'unknown-policy', 'unmatched', 'unread-spans']

const OPTIONS = {
  operation: { type: 'string', value: 'NAME', help: 'Says what would be in force for this operation.' },
  workload: { type: 'string', value: 'ID', help: 'The principal that runs it.' },
  at: { type: 'string', value: 'TIME', help: 'When, such as 2030-01-31T12:00:00Z; now by default.' },
  policy: {
    type: 'string',
    multiple: true,
    value: 'LIST',
    help: "The operation's own policies, which are not in the file, separated by commas; may be repeated.",
  },
  soon: { type: 'string', value: 'DAYS', help: 'Warns of what ends within so many days; 7 by default.' },
  opa: {
    type: 'string',
    multiple: true,
    value: 'URL',
    help: `An OPA: warns of policies that no engine has which is named. May be repeated. Cedar has no list of names to look in:
      there a policy is what is said of the action of that name, or of any.`,
  },
  ...OPA_OPTIONS,
  rego: {
    type: 'string',
    multiple: true,
    value: 'FILE',
    choices: 'file',
    help: 'The same of policies that "opa build -t wasm" has compiled: the bundle, or its .wasm. May be repeated.',
  },
  spans: {
    type: 'string',
    multiple: true,
    value: 'PATH',
    choices: 'file',
    help: `Exported spans, as kest audit reads them: warns of deviations, observations and roots that nothing in them is about. They
      are not verified. May be repeated.`,
  },
  'fail-on': {
    type: 'string',
    multiple: true,
    value: 'WARNING',
    choices: FAIL_ON,
    help: 'Exit with 1 for these warnings, separated by commas; all but "expires-soon" by default; "all"; "none".',
  },
  json: { type: 'boolean', help: 'One JSON object.' },
} as const satisfies Options

const ABOUT: About = {
  name: 'deploy',
  usage: ['check FILE [--operation NAME [--workload ID] [--at TIME]] [options]'],
  about: `
Reads a deployment file as services read it, and says whether they would take it: what it
says of an operation, what ends soon, which policies no engine has, and what in it nothing
that was recorded is about. It opens no connection but to the OPA that --opa or
--opa-socket names.`,
  verbs: ['check'],
  arguments: 'files',
  examples: [
    'kest deploy check kest.yaml',
    "kest deploy check kest.yaml --operation 'GET /orders/:id' --workload spiffe://example.org/orders",
    'kest deploy check kest.yaml --opa http://127.0.0.1:8181 --spans spans/ --fail-on all --json',
  ],
  exitStatus: `0 it is valid, 1 it is not, or there is a warning that fails, 2 a file cannot be
read, an engine does not answer, or the command was used wrongly.`,
}

export const deploy: Command = defineCommand(ABOUT, OPTIONS, async ({ values, positionals }, io) => {
  const [verb, file, ...others] = positionals
  if (verb !== 'check') throw new UsageError('what is to be done? kest deploy check FILE')
  if (file === undefined || others.length > 0) throw new UsageError('which file? kest deploy check FILE')
  if (values.operation === undefined) {
    for (const name of ['workload', 'at'] as const)
      if (values[name] !== undefined) throw new UsageError(`--${name} is for --operation`)
  }
  const failing = failOn(values['fail-on'])
  const days = daysOf(values.soon)
  const opa = await opasOf(values.opa ?? [], values)
  const now = Date.now()
  const at = values.at === undefined ? now : parseTime('at', values.at)
  const own = (values.policy ?? []).flatMap(listOf)
  let deployment: Deployment
  try {
    deployment = await readDeploymentFile(file, now)
  } catch (error) {
    if (!(error instanceof KestConfigError)) throw error
    if (error.message.startsWith(`${file}: cannot be read`))
      throw new InputError(error.message, { cause: error })
    await io.stdout.write(values.json ? invalidJson(file, error.message) : `${visible(error.message)}\n`)
    return EXIT.fails
  }
  const warnings = [
    ...endWarnings(deployment, now, days),
    ...(await unknownPolicies(deployment, own, { opa, rego: values.rego ?? [] })),
    ...(values.spans === undefined ? [] : await unmatched(deployment, values.spans, io.stdin)),
  ]
  const checked = { file, deployment, asked: askedOf(deployment, values, own, at), warnings }
  await io.stdout.write(values.json ? checkedJson(checked) : checkedText(checked, io.stdout.colors))
  return warnings.some(({ code }) => failing.has(code)) ? EXIT.fails : EXIT.holds
})

function askedOf(
  deployment: Deployment,
  { operation, workload }: { operation?: string; workload?: string },
  policies: readonly string[],
  at: number,
): Asked | null {
  if (operation === undefined) return null
  const of = workload === undefined ? {} : { workload }
  const inForce = deploymentInForce(deployment, { operation, ...of, policies, at })
  return { operation, workload: workload ?? null, at, inForce }
}

function failOn(values: readonly string[] = DEFAULT_FAIL_ON): ReadonlySet<WarningCode> {
  const words = values.flatMap((list) => list.split(',')).map((word) => oneOf('fail-on', word, FAIL_ON))
  return new Set(WARNING_CODES.filter((code) => words.includes(code) || words.includes('all')))
}

function daysOf(value = '7'): number {
  if (/^\d{1,4}$/.test(value)) return Number(value)
  throw new UsageError(`--soon: expected days, such as 7, got "${value}"`)
}
