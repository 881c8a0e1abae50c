import { type InboundMessage, KestConfigError, type MessageBody } from '@kest/core'
import type { Wrapped } from '../shared/options.js'
import type { BullJob, JobOptions, Telemetry } from './types.js'

export const SCHEME = 'bullmq'

type Carrier = Record<string, string>

/**
 * What travels beside a job: BullMQ's own place for it, `opts.telemetry.metadata`, the JSON of a string map. Not in `data`, which is the
 * application's: it checks it, shows it, and writes it anew (`job.updateData`) between two tries, by which a passport would be lost.
 *
 * @returns `null` for what another wrote there in a form of his own
 */
export function parseCarrier(metadata: string | undefined): Carrier | null {
  if (metadata === undefined || metadata === '') return {}
  try {
    const parsed: unknown = JSON.parse(metadata)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Carrier)
      : null
  } catch {
    return null
  }
}

/** The carrier of a job that is about to be added: what it was given, else what BullMQ's own tracing would write. */
export function carrierFor({ telemetry }: JobOptions, tracing: unknown): Carrier {
  const manager = (tracing as Telemetry | undefined)?.contextManager
  const metadata =
    telemetry?.metadata ??
    (manager === undefined || telemetry?.omitContext === true
      ? undefined
      : manager.getMetadata(manager.active() as never))
  const carrier = parseCarrier(metadata)
  if (carrier === null)
    throw new KestConfigError(
      'opts.telemetry.metadata: expected the JSON of an object: a passport travels in it',
    )
  return carrier
}

/** What is signed of a job: its name, which says what is done, and its data, as BullMQ writes it. */
export function bodyOf(name: string, data: unknown): MessageBody {
  return JSON.stringify([name, data === undefined ? {} : data])
}

/** As Kest sees it: what another wrote there in a form of his own is no lineage. */
export function inboundHeaders({ telemetry }: BullJob['opts']): InboundMessage['headers'] {
  return parseCarrier(telemetry?.metadata) ?? {}
}

/** Before a processor gets the job, which may hand on what it has read. What is in Redis stays, for the next try. */
export function takeLineageOut(job: BullJob, { messages }: Pick<Wrapped, 'messages'>): void {
  const { telemetry } = job.opts
  const carrier = telemetry?.metadata === undefined ? null : parseCarrier(telemetry.metadata)
  if (carrier === null) return
  job.opts = { ...job.opts, telemetry: { ...telemetry, metadata: JSON.stringify(messages.strip(carrier)) } }
}
