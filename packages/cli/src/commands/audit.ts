import {
  Audit,
  type AuditOptions,
  ObservedTally,
  PolicyReplay,
  parseRoster,
  RevisionTally,
  type RosterOptions,
  sizeOf,
  type TraceSelection,
} from '@kest/audit'
import { KestError } from '@kest/core'
import { type Address, parseAddress } from '../arguments/address.js'
import { listOf } from '../arguments/list.js'
import { parseMebibytes } from '../arguments/mebibytes.js'
import type { Options } from '../arguments/options.js'
import { parseSeconds } from '../arguments/seconds.js'
import { parseTime } from '../arguments/time.js'
import { parseTraceId } from '../arguments/trace-id.js'
import { UsageError } from '../arguments/usage-error.js'
import { FAIL_ON_WORDS, failOn } from '../audit/fail-on.js'
import { JUDGING_OPTIONS, RAISERS_OPTION } from '../audit/judging-options.js'
import { KAFKA_OPTIONS, readKafkaOptions } from '../audit/kafka-options.js'
import { observedJson } from '../audit/observed-json.js'
import { observedText } from '../audit/observed-text.js'
import { auditOnFiles, type OnFiles } from '../audit/on-files.js'
import { auditOnKafka } from '../audit/on-kafka.js'
import { assertOfPage, pageOfKafka } from '../audit/page-of-topic.js'
import { openReceiver, type ReceiveUntil, receive } from '../audit/receive.js'
import { replayText } from '../audit/replay-text.js'
import { reportJson, summaryJson } from '../audit/report-json.js'
import { reportText, summaryText } from '../audit/report-text.js'
import { revisionsJson } from '../audit/revisions-json.js'
import { revisionsText } from '../audit/revisions-text.js'
import { SETTLING_OPTIONS, settlingOf } from '../audit/settling-options.js'
import { spansAt } from '../audit/spans-at.js'
import { isRemarkable } from '../audit/verdict-text.js'
import { type About, type Command, defineCommand, type Io } from '../command.js'
import { EXIT } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { isDescriptor, readText, STDIN } from '../files/read.js'
import { TemporaryFolder } from '../files/temporary-folder.js'
import { assertFolder, assertNoInput, writeResult } from '../files/write.js'
import { inForceOf, WITHHELD_OPTION, withheldOf } from '../replay/options.js'
import { readTexts, TEXT_HELP } from '../replay/read-text.js'
import { filesOf, parseTextForm } from '../replay/text-form.js'
import type { ReportPage } from '../report/report-page.js'
import { FollowedTrust } from '../trust/followed-trust.js'
import { assertStdinOnce, inputsOf, TRUST_OPTIONS } from '../trust/options.js'
import { UnmetDomains } from '../trust/unmet-domains.js'

const OPTIONS = {
  ...TRUST_OPTIONS,
  ...JUDGING_OPTIONS,
  listen: {
    type: 'string',
    value: 'ADDRESS',
    help: `[HOST:]PORT, such as 4318: receives there until SIGINT or SIGTERM; a second one ends at once. Without a HOST it
      hears this machine alone.`,
  },
  for: { type: 'string', value: 'SECONDS', help: 'Receives no longer than that.' },
  idle: { type: 'string', value: 'SECONDS', help: 'Receives until nothing came for so long.' },
  follow: {
    type: 'boolean',
    help: `Judges what comes to the files and folders, each trace when it has settled and again when more comes, until SIGINT or SIGTERM.`,
  },
  ...KAFKA_OPTIONS,
  ...SETTLING_OPTIONS,
  trace: { type: 'string', value: 'ID', help: 'This trace alone.' },
  since: {
    type: 'string',
    value: 'TIME',
    help: 'Traces with an entry of this time or later, such as 2026-01-31T12:00:00Z.',
  },
  service: {
    type: 'string',
    value: 'NAME',
    help: `Traces with an entry by this principal, or service (the path of its SPIFFE ID, in any trust domain). What is
      missing or does not hold could be what is looked for: with --since and --service, traces with findings that are errors
      are selected, too.`,
  },
  ...RAISERS_OPTION,
  share: {
    type: 'string',
    multiple: true,
    value: 'LIST',
    help: `Principals that number their entries together, in one process, as releases did that gave a process one numbering;
      may be repeated, for others. Without, numbers of one process by several are an error.`,
  },
  roster: {
    type: 'string',
    value: 'FILE',
    choices: 'file',
    help: `JSON: {"within_seconds": 3600, "workloads": ["spiffe://…", {"workload": "spiffe://…", "within_seconds": 60}]}: who should be there.
      One without a verified entry or a signed denial of its last so many seconds is silent, which is an error.`,
  },
  'roster-until': {
    type: 'string',
    value: 'TIME',
    help: 'The end of what --roster looks at; by default the time when the first trace is judged.',
  },
  memory: {
    type: 'string',
    value: 'MIB',
    help: `Of spans that are held in memory, 64 by default; beyond, they lie in temporary files. The entries of one trace take
      eight times as much at most: of a larger trace the rest is not judged, and is a finding.`,
  },
  table: { type: 'boolean', help: 'A table per trace, and a summary (the default).' },
  json: { type: 'boolean', help: 'One JSON object per trace and line, and one for the summary.' },
  observed: {
    type: 'boolean',
    help: `Instead of traces, what observing has shown ("observe" of a deployment file): by workload, operation and policy, how
      often it was asked and would have been refused, why and for whom, and what is ready to be enforced.`,
  },
  days: {
    type: 'string',
    value: 'DAYS',
    help: 'For how many days of records nothing may have been refused of what --observed and --html call ready; 7 by default.',
  },
  html: {
    type: 'string',
    value: 'FILE',
    choices: 'file',
    help: `Instead of traces, one page of all of it in this file, which needs nothing else: verdicts, findings with examples that can be
      opened, a map of who called whom, a timeline, what was refused, and what is not proven. With --kafka it is of the verdicts
      that auditors have written there, and nothing is judged.`,
  },
  revisions: {
    type: 'boolean',
    help: `Instead of traces, which texts of policies have decided: by workload, operation and tier, when first and when last. A digest
      is of one text; a name was chosen by its author.`,
  },
  replay: {
    type: 'string',
    multiple: true,
    value: '[BUNDLE=]FILES',
    choices: 'file',
    help: `Has this text decide again what it has decided; may be repeated. ${TEXT_HELP}`,
  },
  'in-force': {
    type: 'string',
    multiple: true,
    value: 'REVISION=FROM/UNTIL',
    help: `When a text may decide, such as opa:bundle:main@v12=2026-01-01T00:00:00Z/2026-02-01T00:00:00Z; one of the times may be left
      out. What it decided at another time is an error.`,
  },
  ...WITHHELD_OPTION,
  'only-findings': {
    type: 'boolean',
    help: `Shows no trace but those with an error, a warning or a finding that --fail-on names; the summary counts all.`,
  },
  'fail-on': {
    type: 'string',
    multiple: true,
    value: 'FINDING',
    choices: FAIL_ON_WORDS,
    help: `Exit with 1 for these findings, separated by commas; "error" (the default), "warning" and "note" are all that are as
      grave; "none".`,
  },
} as const satisfies Options

const ABOUT: About = {
  name: 'audit',
  usage: [
    'PATH… --trust [TRUST-DOMAIN=]FILE [options]',
    '--listen [HOST:]PORT [PATH…] [options]',
    '--follow PATH… [options]',
    '--kafka BROKERS [options]',
    '--kafka BROKERS --html FILE [options]',
  ],
  about: `
Proves lineage from exported spans, offline: rebuilds each trace by the hash links of
its signed entries, verifies it, and says what does not hold and what is missing. A
PATH is a file, or a folder of files and folders: of the OpenTelemetry Collector's file
exporter, of @kest/telemetry (lines or SQLite), an answer of Jaeger or Tempo, or a list
of entries; "-" is standard input. With --listen it receives spans by OTLP/HTTP, from
services or a Collector, and judges when it is told to stop. With --follow, and beside
others with --kafka, it judges each trace when it has settled, for ever, and reads the
files of --trust and --roots again when they change. With --kafka and --html it makes a
page of what was judged there. What is not read is an error.`,
  arguments: 'files',
  examples: [
    'kest audit spans/ --trust example.org=bundle.json',
    'kest audit spans/ --trust trust.json --only-findings --fail-on warning',
    'kest audit spans.jsonl --trust trust.json --roots kest.yaml --json > report.jsonl',
    'kest audit spans/ --trust trust.json --html report.html',
    'kest audit spans/ --trust trust.json --observed --days 14',
    'kest audit spans/ --trust trust.json --revisions',
    'kest audit spans/ --trust trust.json --replay bundle-v12.tar.gz --replay bundle-v13.tar.gz',
    'kest audit --listen 4318 --idle 60 --trust example.org=bundle.json spans/',
  ],
  exitStatus: `0 nothing that fails was found, 1 something was or nothing was selected,
2 a path cannot be read, nothing can listen there, there is no span of Kest or no verdict,
no broker answers as it should, or the command was used wrongly.`,
}

export const audit: Command = defineCommand(ABOUT, OPTIONS, async ({ values, positionals: paths }, io) => {
  const listening = listeningOf(values)
  const kafka = await readKafkaOptions(values, io)
  if (kafka !== null && values.html !== undefined) {
    assertOfPage(values)
    if (paths.length > 0) throw new UsageError('--kafka reads no files')
    const { json = false, html: path } = values
    await assertNoInput(path, kafka.inputs, 'html')
    const page = await pageOf(path, values)
    const { prefix } = kafka.fleet
    return await pageOfKafka(
      kafka.kafka,
      { page, path, prefix, json, failing: failOn(values['fail-on']) },
      io,
    )
  }
  if (kafka !== null) {
    assertAlone(values, 'kafka')
    if (paths.length > 0) throw new UsageError('--kafka reads no files')
    using trust = await FollowedTrust.open(values, io)
    const going = goingOf(values, trust)
    const roster = await readRoster(values, io)
    const asked = roster === null ? kafka : { ...kafka, fleet: { ...kafka.fleet, roster: roster.workloads } }
    trust.follow()
    return await auditOnKafka({ asked, ...going }, io)
  }
  if (values.follow) {
    assertAlone(values, 'follow')
    if (paths.length === 0) throw new UsageError('--follow: which files, or folders?')
    const never = paths.find((path) => path === STDIN || isDescriptor(path))
    if (never !== undefined) throw new UsageError(`--follow: expected files and folders, got "${never}"`)
    const settling = settlingOf(values)
    using trust = await FollowedTrust.open(values, io)
    const going = goingOf(values, trust)
    const roster = (await readRoster(values, io))?.workloads ?? null
    trust.follow()
    return await auditOnFiles({ paths, settling, roster, ...going }, io)
  }
  const settle = Object.keys(SETTLING_OPTIONS).find((name) => values[name as keyof typeof SETTLING_OPTIONS])
  if (settle !== undefined) throw new UsageError(`--${settle} is for --follow and --kafka`)
  if (paths.length === 0 && listening === null)
    throw new UsageError('which files, or folders? kest audit spans.jsonl --trust …; "-" is standard input')
  if (values.json && values.table) throw new UsageError('--json or --table, not both')
  const inputs = inputsOf(paths, values)
  assertStdinOnce(inputs)
  const replayed = (values.replay ?? []).flatMap((text) => filesOf(parseTextForm('replay', text)))
  const others = values.roster === undefined ? replayed : [...replayed, values.roster]
  await assertNoInput(values.html, [...inputs, ...others], 'html')
  const failing = failOn(values['fail-on'])
  const selection = selectionOf(values)
  const rules = rulesOf(values)
  const observed = observedOf(values)
  const page = values.html === undefined ? null : await pageOf(values.html, values)
  const revisions = revisionsOf(values)
  const replay = await replayOf(values)
  using trust = await FollowedTrust.open(values, io)
  const roster = await readRoster(values, io)
  using temporary = await TemporaryFolder.create()
  await using one = new Audit({
    ...trust.judging,
    folder: temporary.path,
    ...rules,
    ...(replay !== null && { replay }),
    ...(roster !== null && { roster }),
  })
  if (listening === null) await readAll(one, paths, io)
  else {
    await using receiver = await openReceiver(listening.address)
    await Promise.all([readAll(one, paths, io), receive(one, receiver, listening, io)])
    // It may have run for long.
    await trust.look()
  }
  const unmet = new UnmetDomains(trust.given)
  const { colors } = io.stdout
  let judged = 0
  for await (const report of one.traces(selection)) {
    judged++
    if (!io.stdout.isTerminal) io.status.show(() => `${judged} traces judged`)
    unmet.see(report.entries)
    observed?.add(report)
    revisions?.add(report)
    page?.add(report)
    if (observed !== null || revisions !== null || page !== null) continue
    if (values['only-findings'] && !isRemarkable(report, failing)) continue
    for (const piece of values.json ? reportJson(report) : [reportText(report, colors)])
      await io.stdout.write(piece)
  }
  io.status.clear()
  const summary = one.summary()
  if (page !== null && summary.spans > 0) await writeResult(page.html(summary), values.html, io)
  const shown = observed?.report(summary) ?? null
  if (shown !== null)
    for (const piece of values.json ? observedJson(shown) : observedText(shown, colors))
      await io.stdout.write(piece)
  const texts = revisions?.report() ?? null
  if (texts !== null)
    for (const piece of values.json ? revisionsJson(texts) : revisionsText(texts, colors))
      await io.stdout.write(piece)
  const again = values.replay === undefined ? null : (replay?.summary() ?? null)
  if (again !== null && !values.json) await io.stdout.write(replayText(again, colors))
  if (summary.spans > 0 || summary.findings.size > 0)
    await io.stdout.write(
      values.json
        ? summaryJson(summary, { observed: shown, revisions: texts, replay: again })
        : summaryText(summary, colors),
    )
  await io.stderr.write(unmet.hint())
  if (summary.spans === 0) throw new InputError('no span of Kest is there')
  const failed = judged === 0 || [...summary.findings.keys()].some((code) => failing.has(code))
  return failed ? EXIT.fails : EXIT.holds
})

/** What is about all traces is for an audit that ends. */
const OF_AN_END = [
  'listen',
  'for',
  'idle',
  'trace',
  'since',
  'service',
  'observed',
  'days',
  'html',
  'revisions',
  'replay',
  'in-force',
  'withheld',
  'roster-until',
] as const
const BESIDE_NOT = { kafka: [...OF_AN_END, 'follow'], follow: OF_AN_END } as const

function assertAlone(values: Readonly<Record<string, unknown>>, how: keyof typeof BESIDE_NOT): void {
  const beside = BESIDE_NOT[how].find((name) => values[name] !== undefined)
  if (beside !== undefined) throw new UsageError(`--${beside} or --${how}, not both`)
  if (values['json'] === true && values['table'] === true) throw new UsageError('--json or --table, not both')
}

async function readRoster(
  values: { roster?: string; 'roster-until'?: string; trace?: string },
  { stdin }: Io,
): Promise<RosterOptions | null> {
  const { roster: path, 'roster-until': until, trace } = values
  if (path === undefined) {
    if (until !== undefined) throw new UsageError('--roster-until is for --roster')
    return null
  }
  if (trace !== undefined) throw new UsageError('--roster is of all traces: not beside --trace')
  const untilMs = until === undefined ? {} : { untilMs: parseTime('roster-until', until) }
  try {
    return { workloads: parseRoster(await readText(path, stdin)), ...untilMs }
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    throw new InputError(`--roster ${path}: ${cause.message}`, { cause })
  }
}

/** How an audit judges that goes on, and what of it is said. */
function goingOf(
  values: Parameters<typeof rulesOf>[0] & { json?: boolean; 'only-findings'?: boolean; 'fail-on'?: string[] },
  trust: FollowedTrust,
): Pick<OnFiles, 'judge' | 'failing' | 'json' | 'onlyFindings'> {
  const { json = false, 'only-findings': onlyFindings = false } = values
  const judge = { ...trust.judging, ...rulesOf(values) }
  return { judge, failing: failOn(values['fail-on']), json, onlyFindings }
}

function listeningOf(values: {
  listen?: string
  for?: string
  idle?: string
}): (ReceiveUntil & { readonly address: Address }) | null {
  const { listen, for: whole, idle } = values
  if (listen === undefined) {
    if (whole !== undefined || idle !== undefined) throw new UsageError('--for and --idle are for --listen')
    return null
  }
  return {
    address: parseAddress('listen', listen),
    forMs: whole === undefined ? null : parseSeconds('for', whole),
    idleMs: idle === undefined ? null : parseSeconds('idle', idle),
  }
}

function observedOf(values: {
  observed?: boolean
  html?: string
  days?: string
  service?: string
  trace?: string
  'only-findings'?: boolean
}): ObservedTally | null {
  const { observed, days, service } = values
  if (observed !== true) {
    if (values.days !== undefined && values.html === undefined)
      throw new UsageError('--days is for --observed and --html')
    return null
  }
  if (values['only-findings']) throw new UsageError('--observed or --only-findings, not both')
  if (values.trace !== undefined) throw new UsageError('--observed is of all traces: not beside --trace')
  return new ObservedTally({ days: daysOf(days), ...(service === undefined ? {} : { service }) })
}

function daysOf(days = '7'): number {
  if (!/^[1-9]\d{0,3}$/.test(days)) throw new UsageError(`--days: expected days, such as 7, got "${days}"`)
  return Number(days)
}

/** @param html where it is to be */
async function pageOf(
  html: string,
  values: { days?: string; service?: string; trace?: string; 'only-findings'?: boolean },
): Promise<ReportPage> {
  const { days, trace, service } = values
  if (html === STDIN) throw new UsageError('--html: expected a file: the summary is on standard output')
  if (values['only-findings']) throw new UsageError('--html or --only-findings, not both')
  if (trace !== undefined) throw new UsageError('--html is of all traces: of one, kest graph makes a page')
  await assertFolder(html, 'html')
  const { ReportPage: Page } = await import('../report/report-page.js')
  return new Page({ days: daysOf(days), service })
}

function revisionsOf(values: {
  revisions?: boolean
  observed?: boolean
  service?: string
  trace?: string
  'only-findings'?: boolean
}): RevisionTally | null {
  const { revisions, observed, service } = values
  if (revisions !== true) return null
  if (observed) throw new UsageError('--observed or --revisions, not both')
  if (values['only-findings']) throw new UsageError('--revisions or --only-findings, not both')
  return new RevisionTally(service === undefined ? {} : { service })
}

async function replayOf(values: {
  replay?: string[]
  'in-force'?: string[]
  withheld?: string[]
}): Promise<PolicyReplay | null> {
  const { replay = [], 'in-force': times = [], withheld = [] } = values
  if (withheld.length > 0 && replay.length === 0) throw new UsageError('--withheld is for --replay')
  const inForce = inForceOf(times)
  const fields = withheldOf(withheld)
  if (replay.length + times.length === 0) return null
  return new PolicyReplay({ texts: await readTexts('replay', replay), inForce, withheld: fields })
}

function rulesOf({
  raisers,
  share,
  memory,
}: {
  raisers?: string[]
  share?: string[]
  memory?: string
}): Pick<AuditOptions, 'raisers' | 'shared' | 'memory'> {
  return {
    ...(raisers === undefined ? {} : { raisers: raisers.flatMap(listOf) }),
    ...(share === undefined ? {} : { shared: sharedOf(share) }),
    ...(memory === undefined ? {} : { memory: parseMebibytes('memory', memory) }),
  }
}

/** Each group of them. */
function sharedOf(lists: readonly string[]): string[][] {
  const groups = lists.map(listOf)
  const names = groups.flat()
  if (groups.some(({ length }) => length < 2))
    throw new UsageError('--share: expected two principals, or more')
  if (new Set(names).size < names.length) throw new UsageError('--share: a principal is named more than once')
  return groups
}

function selectionOf(values: { trace?: string; since?: string; service?: string }): TraceSelection {
  const { trace, since, service } = values
  return {
    ...(trace === undefined ? {} : { trace: parseTraceId(trace) }),
    ...(since === undefined ? {} : { since: parseTime('since', since) }),
    ...(service === undefined ? {} : { service }),
  }
}

async function readAll(one: Audit, paths: readonly string[], { status, stdin }: Io): Promise<void> {
  try {
    const size = await sizeOf(paths.filter((path) => path !== STDIN))
    let read = 0
    await one.read(spansAt(paths, stdin), (bytes) => {
      read += bytes
      status.show(() => `${Math.min(100, Math.floor((read / Math.max(1, size)) * 100))} % read`)
    })
    status.clear()
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    throw new InputError(cause.message, { cause })
  }
}
