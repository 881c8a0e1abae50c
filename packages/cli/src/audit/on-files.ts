import {
  type FindingCode,
  followFiles,
  type RosterWorkload,
  type SettlingOptions,
  TraceFollower,
  type TraceJudgeOptions,
} from '@kest/audit'
import { KestError } from '@kest/core'
import type { Io } from '../command.js'
import { EXIT } from '../exit-code.js'
import { InputError } from '../files/input-error.js'
import { TemporaryFolder } from '../files/temporary-folder.js'
import { jsonLine, visible } from '../terminal/escape.js'
import { standingJson, standingText } from './standing-text.js'
import { countsJson, countsText, isRemarkable, verdictText } from './verdict-text.js'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

export interface OnFiles {
  readonly paths: readonly string[]
  readonly judge: TraceJudgeOptions
  readonly settling: SettlingOptions
  /** Nobody, when it is `null`. */
  readonly roster: readonly RosterWorkload[] | null
  readonly failing: ReadonlySet<FindingCode>
  readonly json: boolean
  readonly onlyFindings: boolean
}

/**
 * Judges what comes to files until it is told to stop; a second signal ends the process, as signals do.
 *
 * @returns the exit status: whether anything was found that fails
 * @throws {InputError} when a path cannot be read, there is no room, or no span of Kest was there
 */
export async function auditOnFiles(given: OnFiles, io: Io): Promise<number> {
  const { paths, settling, roster, json } = given
  using temporary = await TemporaryFolder.create()
  const stopped = new AbortController()
  const heedSignals = (heed: 'once' | 'removeListener'): void => {
    for (const signal of SIGNALS) process[heed](signal, stop)
  }
  const stop = (): void => {
    // The next one, whichever it is, does what signals do.
    heedSignals('removeListener')
    stopped.abort()
  }
  heedSignals('once')
  try {
    using follower = new TraceFollower({
      ...given.judge,
      settling,
      folder: temporary.path,
      ...(roster === null ? {} : { roster }),
    })
    await io.stderr.write(`following ${visible(paths.join(', '))}\n`)
    const { settleMs: quietMs } = settling
    const files = followFiles(paths, {
      signal: stopped.signal,
      ...(quietMs === undefined ? {} : { quietMs }),
    })
    let failed = false
    for await (const { verdict, finding } of follower.follow(files)) {
      const findings = verdict !== null ? verdict.findings : finding.withdrawn ? [] : [finding]
      failed ||= findings.some(({ code }) => given.failing.has(code))
      if (verdict === null)
        await io.stdout.write(
          json ? jsonLine({ finding: standingJson(finding) }) : standingText(finding, io.stdout.colors),
        )
      else if (!given.onlyFindings || isRemarkable(verdict, given.failing))
        await io.stdout.write(json ? jsonLine(verdict) : verdictText(verdict, io.stdout.colors))
    }
    const { counts } = follower
    await io.stdout.write(json ? jsonLine({ summary: countsJson(counts) }) : countsText(counts))
    if (counts.spans === 0) throw new InputError('no span of Kest is there')
    return failed ? EXIT.fails : EXIT.holds
  } catch (cause) {
    if (cause instanceof KestError) throw new InputError(cause.message, { cause })
    throw cause
  } finally {
    heedSignals('removeListener')
  }
}
