import { carriesPassport, KestConfigError } from '@kest/core'
import type { Wrapped } from '../shared/options.js'
import { bodyOf, carrierFor } from './metadata.js'
import type { JobOptions } from './types.js'

/** A job that is about to be added. */
export interface NewJob {
  readonly name: string
  readonly data?: unknown
  readonly opts?: object | undefined
}

/** The options of a job with the passport in them, or without any `kest.*`. What is given is not changed. */
export async function carrying(
  { name, data, opts = {} }: NewJob,
  queue: string,
  tracing: unknown,
  { messages, uriOf }: Wrapped,
): Promise<object> {
  const given = opts as JobOptions
  const carrier = carrierFor(given, tracing)
  const carried = await messages.send({
    headers: { ...carrier },
    body: bodyOf(name, data),
    to: uriOf(queue),
  })
  if (carriesPassport(carried['baggage']) && given.repeat !== undefined)
    throw new KestConfigError(
      'opts.repeat: a job that comes again and again carries no passport: let its worker begin (origin)',
    )
  const metadata = Object.keys(carried).length === 0 ? undefined : JSON.stringify(carried)
  if (metadata === undefined && given.telemetry === undefined) return opts
  // Else BullMQ's own tracing would write over it; what that has to say is in it.
  return { ...opts, telemetry: { ...given.telemetry, metadata, omitContext: true } }
}
