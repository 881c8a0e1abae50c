import type { Readable } from 'node:stream'
import { Audit, type AuditFinding, type AuditOptions, type SpanSource, type TraceReport } from '@kest/audit'
import { KestError } from '@kest/core'
import { UsageError } from '../arguments/usage-error.js'
import { InputError } from '../files/input-error.js'
import { TemporaryFolder } from '../files/temporary-folder.js'
import { spansAt } from './spans-at.js'

/** A trace, and what was found that is of no trace: of files, say, from which some of it may be missing. */
export interface OneTrace {
  readonly report: TraceReport
  readonly general: readonly AuditFinding[]
}

/**
 * The one trace that is asked for.
 *
 * @param trace its id; without, the only one there is
 * @throws {InputError} when a path cannot be read, or the trace is not there
 * @throws {UsageError} when there are several to choose from
 */
export async function auditOne(
  paths: readonly string[],
  stdin: Readable,
  trace: string | undefined,
  options: AuditOptions,
): Promise<OneTrace> {
  return await audited(spansAt(paths, stdin), options, async (audit) => {
    let found: TraceReport | undefined
    for await (const report of audit.traces(trace === undefined ? {} : { trace })) {
      if (found !== undefined) throw new UsageError('which trace? there are several: --trace ID')
      found = report
    }
    if (found === undefined)
      throw new InputError(trace === undefined ? 'no span of Kest is there' : `there is no trace ${trace}`)
    // Who began it is what the picture, or the evidence, shows.
    const general = audit.summary().general.filter(({ code }) => code !== 'root')
    return { report: found, general }
  })
}

/** Every trace there is in a source, such as the entries of one passport. */
export async function every(source: SpanSource, options: AuditOptions): Promise<readonly TraceReport[]> {
  return await audited(source, options, async (audit) => {
    const reports: TraceReport[] = []
    for await (const report of audit.traces()) reports.push(report)
    return reports
  })
}

async function audited<T>(
  source: SpanSource,
  options: AuditOptions,
  judge: (audit: Audit) => Promise<T>,
): Promise<T> {
  using temporary = await TemporaryFolder.create()
  await using audit = new Audit({ ...options, folder: temporary.path })
  try {
    await audit.read(source)
  } catch (cause) {
    if (cause instanceof KestError) throw new InputError(cause.message, { cause })
    throw cause
  }
  return await judge(audit)
}
