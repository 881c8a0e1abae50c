import type { AuditFinding, FindingCode } from '@kest/audit'
import { KestError } from '@kest/core'
import type { FleetFinding, KafkaOptions, ReadVerdict } from '@kest/fleet'
import { UsageError } from '../arguments/usage-error.js'
import type { Io } from '../command.js'
import { EXIT } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { writeResult } from '../files/write.js'
import type { ReportPage } from '../report/report-page.js'
import { summaryJson } from './report-json.js'
import { summaryText } from './report-text.js'
import { VerdictTally } from './verdict-tally.js'

/** Options of a page of what auditors of a fleet wrote: nothing is judged for it. */
const OPTIONS = ['kafka', 'prefix', 'kafka-security', 'html', 'days', 'table', 'json', 'fail-on']

/** @throws {UsageError} for an option that is about judging, or about one trace */
export function assertOfPage(values: Readonly<Record<string, unknown>>): void {
  const beside = Object.keys(values).find((name) => values[name] !== undefined && !OPTIONS.includes(name))
  if (beside !== undefined)
    throw new UsageError(
      `--${beside} is not for --html with --kafka, which shows verdicts as they were written`,
    )
  if (values['json'] === true && values['table'] === true) throw new UsageError('--json or --table, not both')
}

/** What a fleet has written. */
export interface Topics {
  readonly verdicts: AsyncIterable<Pick<ReadVerdict, 'record' | 'report'>>
  readonly findings: AsyncIterable<FleetFinding>
}

export interface PageOfTopic {
  readonly page: ReportPage
  /** Where it is written. */
  readonly path: string
  readonly failing: ReadonlySet<FindingCode>
  readonly json: boolean
  /** Begins the names of topics. */
  readonly prefix?: string | undefined
}

/** The page of all verdicts that are in the topics of Kafka. @throws {InputError} where they cannot be read */
export async function pageOfKafka(kafka: KafkaOptions, asked: PageOfTopic, io: Io): Promise<number> {
  // What it takes to speak with Kafka is not read for an audit of files.
  const { readFindings, readVerdicts } = await import('@kest/fleet')
  const prefix = asked.prefix === undefined ? {} : { prefix: asked.prefix }
  try {
    return await pageOfTopics(
      (onUnreadable) => {
        const options = { kafka, onUnreadable, ...prefix }
        return { verdicts: readVerdicts(options), findings: readFindings(options) }
      },
      asked,
      io,
    )
  } catch (cause) {
    if (cause instanceof KestError || (cause as Error).name === 'Unavailable')
      throw new InputError((cause as Error).message, { cause })
    throw cause
  }
}

/**
 * The same of any topics.
 *
 * @returns the exit status: whether anything was found that fails
 * @throws {InputError} where there is no verdict
 */
export async function pageOfTopics(
  open: (unreadable: (one: AuditFinding) => void) => Topics,
  { page, path, failing, json, prefix = 'kest' }: PageOfTopic,
  io: Io,
): Promise<number> {
  const topic = `${prefix}-verdicts`
  const tally = new VerdictTally(topic)
  const { verdicts, findings } = open((one) => tally.note(one))
  for await (const { record, report } of verdicts) {
    tally.add({ record, report })
    page.add(report, record.entries_omitted === undefined)
    io.status.show(() => `${tally.traces} verdicts read`)
  }
  for await (const one of findings) tally.note(one)
  io.status.clear()
  const summary = tally.summary()
  if (summary.traces > 0) await writeResult(page.html(summary, tally.origin), path, io)
  if (summary.traces > 0 || summary.findings.size > 0)
    await io.stdout.write(json ? summaryJson(summary) : summaryText(summary, io.stdout.colors))
  if (summary.traces === 0) throw new InputError(`no verdict is in ${topic}`)
  return [...summary.findings.keys()].some((code) => failing.has(code)) ? EXIT.fails : EXIT.holds
}
