import type { FindingCode, TraceJudgeOptions } from '@kest/audit'
import { KestError } from '@kest/core'
import type { Io } from '../command.js'
import { EXIT } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { jsonLine, visible } from '../terminal/escape.js'
import type { Asked } from './kafka-options.js'
import { standingJson, standingText } from './standing-text.js'
import { countsJson, countsText, isRemarkable, verdictText } from './verdict-text.js'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** How often the same is said again, and of how much it is known that it was. */
const SAID_MS = 60_000
const MAX_SAID = 1_000

export interface OnKafka {
  readonly asked: Asked
  readonly judge: TraceJudgeOptions
  readonly failing: ReadonlySet<FindingCode>
  readonly json: boolean
  readonly onlyFindings: boolean
}

/**
 * Judges on Kafka until it is told to stop; a second signal ends the process, as signals do.
 *
 * @returns the exit status: whether anything was found that fails
 * @throws {InputError} when it cannot begin, or cannot go on
 */
export async function auditOnKafka(
  { asked, judge, failing, json, onlyFindings }: OnKafka,
  io: Io,
): Promise<number> {
  // What it takes to speak with Kafka is not read for an audit of files.
  const { createTopics, Fleet } = await import('@kest/fleet')
  const { kafka, fleet: options, partitions } = asked
  let failed = false
  const said = new Map<string, number>()
  let writing: Promise<void> = Promise.resolve()
  const write = (text: string): void => {
    writing = writing.then(() => io.stdout.write(text))
  }
  const see = (findings: readonly { code: FindingCode }[]): void => {
    failed ||= findings.some(({ code }) => failing.has(code))
  }
  try {
    if (partitions !== null)
      await createTopics({
        kafka,
        partitions,
        ...(options.prefix === undefined ? {} : { prefix: options.prefix }),
      })
    await using fleet = await Fleet.start({
      ...options,
      kafka,
      judge,
      onVerdict(verdict) {
        see(verdict.findings)
        if (!onlyFindings || isRemarkable(verdict, failing))
          write(json ? jsonLine(verdict) : verdictText(verdict, io.stdout.colors))
      },
      onFinding(one) {
        if (!one.withdrawn) see([one])
        write(json ? jsonLine({ finding: standingJson(one) }) : standingText(one, io.stdout.colors))
      },
      onRetry({ message }) {
        // Of what fails for minutes, in many partitions, a line now and then says it.
        const now = performance.now()
        if (now - (said.get(message) ?? Number.NEGATIVE_INFINITY) < SAID_MS) return
        if (said.size >= MAX_SAID) said.clear()
        said.set(message, now)
        void io.stderr.write(`${visible(message)}; it is tried again\n`)
      },
    })
    const stop = (): void => void fleet.close()
    for (const signal of SIGNALS) process.once(signal, stop)
    try {
      await io.stderr.write(`judging what comes to ${visible(kafka.brokers.join(', '))}\n`)
      await fleet.done
    } finally {
      for (const signal of SIGNALS) process.removeListener(signal, stop)
    }
    await fleet.close()
    await writing
    await io.stdout.write(json ? jsonLine({ summary: countsJson(fleet.counts) }) : countsText(fleet.counts))
  } catch (cause) {
    if (cause instanceof KestError || (cause as Error).name === 'Unavailable')
      throw new InputError((cause as Error).message, { cause })
    throw cause
  }
  return failed ? EXIT.fails : EXIT.holds
}
