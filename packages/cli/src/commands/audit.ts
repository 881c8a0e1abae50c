import { Audit, type AuditOptions, sizeOf, type TraceSelection } from '@kest/audit'
import { KestError } from '@kest/core'
import { type Address, parseAddress } from '../arguments/address.js'
import { listOf } from '../arguments/list.js'
import { parseMebibytes } from '../arguments/mebibytes.js'
import { parseArguments } from '../arguments/parse.js'
import { parseSeconds } from '../arguments/seconds.js'
import { parseTime } from '../arguments/time.js'
import { parseTraceId } from '../arguments/trace-id.js'
import { UsageError } from '../arguments/usage-error.js'
import { failOn } from '../audit/fail-on.js'
import { JUDGING_HELP, JUDGING_OPTIONS, readJudgingOptions } from '../audit/judging-options.js'
import { openReceiver, type ReceiveUntil, receive } from '../audit/receive.js'
import { reportJson, summaryJson } from '../audit/report-json.js'
import { reportText, summaryText } from '../audit/report-text.js'
import { spansAt } from '../audit/spans-at.js'
import { assertStdinOnce, readTrustOptions, TRUST_HELP, TRUST_OPTIONS } from '../audit/trust-options.js'
import type { Command, Io } from '../command.js'
import { EXIT, type ExitCode } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { STDIN } from '../files/read.js'
import { TemporaryFolder } from '../files/temporary-folder.js'
import { sourcesOf } from '../files/trust.js'

const OPTIONS = {
  ...TRUST_OPTIONS,
  ...JUDGING_OPTIONS,
  listen: { type: 'string' },
  for: { type: 'string' },
  idle: { type: 'string' },
  trace: { type: 'string' },
  since: { type: 'string' },
  service: { type: 'string' },
  json: { type: 'boolean' },
  table: { type: 'boolean' },
  'fail-on': { type: 'string', multiple: true },
  raisers: { type: 'string', multiple: true },
  share: { type: 'string', multiple: true },
  memory: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const

const HELP = `Usage: kest audit PATH… [options]
       kest audit --listen [HOST:]PORT [PATH…] [options]

Proves lineage from exported spans, offline: rebuilds each trace by the hash links of
its signed entries, verifies it, and says what does not hold and what is missing. A
PATH is a file, or a folder of files: of the OpenTelemetry Collector's file exporter,
of @kest/telemetry (lines or SQLite), an answer of Tempo, or a list of entries; "-" is
standard input. With --listen it receives spans by OTLP/HTTP, from services or a
Collector, and judges when it is told to stop. What is not read of it is an error.

${TRUST_HELP}${JUDGING_HELP}
  --listen ADDRESS    [HOST:]PORT, such as 4318: receives there until SIGINT or SIGTERM; a
                      second one ends at once. Without a HOST it hears this machine alone
  --for SECONDS       receives no longer than that
  --idle SECONDS      receives until nothing came for so long
  --trace ID          this trace alone
  --since TIME        traces with an entry of this time or later, such as 2026-01-31T12:00:00Z
  --service NAME      traces with an entry by this principal, or service (the path of its
                      SPIFFE ID, in any trust domain). What is missing or does not hold
                      could be what is looked for: with --since and --service, traces with
                      findings that are errors are selected, too
  --raisers LIST      the principals that may raise trust and remove taints, separated by
                      commas; may be repeated. "" is nobody; the default is everybody
  --share LIST        principals that number their entries together, in one process, as
                      releases did that gave a process one numbering; may be repeated, for
                      others. Without, numbers of one process by several are an error
  --memory MIB        of spans that are held in memory, 64 by default; beyond, they lie in
                      temporary files. The entries of one trace take eight times as much at most:
                      of a larger trace the rest is not judged, and is a finding
  --table             a table per trace, and a summary (the default)
  --json              one JSON object per trace and line, and one for the summary
  --fail-on FINDING   exit with 1 for these findings, separated by commas; "error" (the
                      default), "warning" and "note" are all that are as grave; "none"
  -h, --help          this text

Exit status: 0 nothing that fails was found, 1 something was or nothing was selected,
2 a path cannot be read, nothing can listen there, there is no span of Kest, or the
command was used wrongly.
`

export const audit: Command = {
  name: 'audit',
  summary: 'prove lineage from exported spans',
  help: HELP,

  async run(argv, io): Promise<ExitCode> {
    const { values, positionals: paths } = parseArguments(argv, OPTIONS)
    if (values.help) {
      await io.stdout.write(HELP)
      return EXIT.holds
    }
    const listening = listeningOf(values)
    if (paths.length === 0 && listening === null) throw new UsageError('which files, or folders?')
    if (values.json && values.table) throw new UsageError('--json or --table, not both')
    assertStdinOnce(paths, values)
    const failing = failOn(values['fail-on'])
    const selection = selectionOf(values)
    const rules = rulesOf(values)
    const trust = sourcesOf(await readTrustOptions(values, io), 'the trust material')
    const judging = await readJudgingOptions(values, io)
    using temporary = await TemporaryFolder.create()
    await using one = new Audit({ trust, ...judging, folder: temporary.path, ...rules })
    if (listening === null) await readAll(one, paths, io)
    else {
      await using receiver = await openReceiver(listening.address)
      await Promise.all([readAll(one, paths, io), receive(one, receiver, listening, io)])
    }
    const { colors } = io.stdout
    let judged = 0
    for await (const report of one.traces(selection)) {
      judged++
      if (!io.stdout.isTerminal) io.status.show(() => `${judged} traces judged`)
      for (const piece of values.json ? reportJson(report) : [reportText(report, colors)])
        await io.stdout.write(piece)
    }
    io.status.clear()
    const summary = one.summary()
    if (summary.spans > 0 || summary.findings.size > 0)
      await io.stdout.write(values.json ? summaryJson(summary) : summaryText(summary, colors))
    if (summary.spans === 0) throw new InputError('no span of Kest is there')
    const failed = judged === 0 || [...summary.findings.keys()].some((code) => failing.has(code))
    return failed ? EXIT.fails : EXIT.holds
  },
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
