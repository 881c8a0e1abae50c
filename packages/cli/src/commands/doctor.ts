import { oneOf } from '../arguments/choice.js'
import { listOf } from '../arguments/list.js'
import { httpUrl, OPA_OPTIONS, opasOf } from '../arguments/opa.js'
import type { Options } from '../arguments/options.js'
import type { parseArguments } from '../arguments/parse.js'
import { parseSeconds } from '../arguments/seconds.js'
import { UsageError } from '../arguments/usage-error.js'
import { type About, type Command, defineCommand } from '../command.js'
import { CHECKS, type Finding, type Status } from '../doctor/finding.js'
import { reportJson, reportText } from '../doctor/report.js'
import { runChecks } from '../doctor/run-checks.js'
import { secretsOf } from '../doctor/secrets.js'
import type { Settings } from '../doctor/settings.js'
import { EXIT } from '../exit-code.js'

const TIMEOUT_MS = 5_000
const GRAVE = ['failure', 'warning', 'none'] as const

const OPTIONS = {
  'trust-domain': {
    type: 'string',
    multiple: true,
    value: 'LIST',
    help: 'Trust domains whose workloads it must be able to verify, separated by commas; may be repeated.',
  },
  opa: { type: 'string', value: 'URL', help: 'Where OPA is, such as http://127.0.0.1:8181.' },
  ...OPA_OPTIONS,
  policy: {
    type: 'string',
    multiple: true,
    value: 'LIST',
    help: 'Policies that OPA must have, separated by commas; may be repeated.',
  },
  otlp: {
    type: 'string',
    value: 'URL',
    help: 'Where spans go, if not where OTEL_EXPORTER_OTLP_ENDPOINT says.',
  },
  front: {
    type: 'string',
    value: 'URL',
    help: `A URL of the service as its callers have it, of a health check say: it is asked with GET, ten times, with growing
      headers.`,
  },
  timeout: { type: 'string', value: 'SECONDS', help: 'How long each check may take; 5 by default.' },
  require: {
    type: 'string',
    multiple: true,
    value: 'LIST',
    choices: CHECKS,
    help: `Checks that must be made, separated by commas: exit with 1 where one of them was not. One of ${CHECKS.join(', ')}.`,
  },
  'fail-on': {
    type: 'string',
    value: 'STATUS',
    choices: GRAVE,
    help: 'Exit with 1 for a "failure" (the default), for a "warning" as well, or for "none".',
  },
  json: { type: 'boolean', help: 'One JSON object per finding and line, and one for the summary.' },
} as const satisfies Options

const ABOUT: About = {
  name: 'doctor',
  usage: ['[options]'],
  about: `
Looks, from where a service runs and with its environment, at what it needs: whether the
Workload API answers, and as whom; whose workloads can be verified; whether OPA answers and
has the policies; whether what receives spans takes them; how clocks compare; how large
headers may be; what OpenTelemetry propagates. Each check takes --timeout at most, and says
what to do. What it was not told of is not checked, and it says so. It changes nothing.`,
  arguments: [],
  examples: [
    'kest doctor',
    'kest doctor --opa http://127.0.0.1:8181 --policy orders/read,platform/minimum-trust --fail-on none',
    'kest doctor --otlp http://127.0.0.1:4318 --front http://127.0.0.1:8080/health --json --fail-on none',
  ],
  exitStatus: `0 nothing that fails was found, 1 something was, or a check that --require
names was not made, 2 the command was used wrongly.`,
}

type Values = ReturnType<typeof parseArguments<typeof OPTIONS>>['values']

export const doctor: Command = defineCommand(ABOUT, OPTIONS, async ({ values, positionals }, io) => {
  if (positionals.length > 0) throw new UsageError(`it takes no argument, got "${positionals[0]}"`)
  const grave = oneOf('fail-on', values['fail-on'] ?? 'failure', GRAVE)
  const required = (values.require ?? []).flatMap(listOf).map((name) => oneOf('require', name, CHECKS))
  const settings = await settingsOf(values)
  const secrets = secretsOf(settings)
  const findings = await runChecks(settings)
  const { colors } = io.stdout
  await io.stdout.write(values.json ? reportJson(findings, secrets) : reportText(findings, secrets, colors))
  const made = new Set(findings.filter(({ status }) => status !== 'not-checked').map(({ check }) => check))
  const missing = required.filter((check) => !made.has(check))
  if (missing.length > 0) await io.stderr.write(`kest doctor: not checked: ${missing.join(', ')}\n`)
  return missing.length > 0 || findings.some((one) => fails(one, grave)) ? EXIT.fails : EXIT.holds
})

function fails({ status }: Finding, grave: (typeof GRAVE)[number]): boolean {
  const failing: readonly Status[] = { none: [], failure: ['failure'], warning: ['failure', 'warning'] }[
    grave
  ] as Status[]
  return failing.includes(status)
}

/** @throws {UsageError} @throws {InputError} */
async function settingsOf(values: Values): Promise<Settings> {
  const [opa] = await opasOf(values.opa === undefined ? [] : [values.opa], values)
  return {
    env: process.env,
    timeoutMs: values.timeout === undefined ? TIMEOUT_MS : parseSeconds('timeout', values.timeout),
    trustDomains: (values['trust-domain'] ?? []).flatMap(listOf),
    opa: opa ?? null,
    policies: [...new Set((values.policy ?? []).flatMap(listOf))],
    otlp: values.otlp === undefined ? null : httpUrl('otlp', values.otlp).href,
    front: values.front === undefined ? null : httpUrl('front', values.front),
  }
}
