import { setTimeout as delay } from 'node:timers/promises'
import type { TrustDocument } from '@kest/core'
import { type Audited, auditSpans } from './audit.js'

/** A Collector writes what it has taken within this time, or it is lost. */
const WRITTEN_MS = 30_000
const AGAIN_MS = 200

/**
 * As {@link auditSpans}, once whoever writes the spans is done: they are there, and nothing is wrong with them; or they are
 * overdue.
 *
 * @throws {Failure} what is wrong with those that are there in the end
 */
export async function awaitAudit(
  paths: readonly string[],
  trust: TrustDocument,
  since: number,
  signal: AbortSignal,
): Promise<Audited> {
  const overdue = Date.now() + WRITTEN_MS
  for (;;) {
    try {
      const audited = await auditSpans(paths, trust, since)
      if (audited.denials.length > 0 || Date.now() > overdue) return audited
    } catch (error) {
      if (Date.now() > overdue) throw error
    }
    await delay(AGAIN_MS, undefined, { signal })
  }
}
