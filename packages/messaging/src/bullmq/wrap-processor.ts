import type { KestError } from '@kest/core'
import { deliver } from '../shared/deliver.js'
import { type ConsumerOptions, type DeadLetter, toConsumer } from '../shared/options.js'
import { Redelivery, type RedeliveryOptions } from '../shared/redelivery.js'
import { bodyOf, inboundHeaders, SCHEME, takeLineageOut } from './metadata.js'
import type { BullJob } from './types.js'

export interface ProcessorOptions<Job> extends Omit<ConsumerOptions<Job>, 'deadLetter'>, RedeliveryOptions {
  /** Told of a job that is refused for what it is, before it fails. Default: it fails, and stays among the failed. */
  readonly deadLetter?: ((refused: DeadLetter<Job>) => unknown) | undefined
}

/** A function that a `Worker` of BullMQ is given. */
export type Processor<Job, Result> = (job: Job, token?: string, signal?: AbortSignal) => Promise<Result>

/**
 * A processor of BullMQ that handles each job in an operation, in a frame of its own, whichever context BullMQ calls it in (that of
 * the Worker's constructor). Each try is a delivery with an entry of its own; label `kest.delivery` has its number.
 *
 * A job that is refused for what it is fails at once, whatever tries are left (as by `UnrecoverableError`), with the code in
 * `failedReason`, and is kept among the failed jobs, whatever `removeOnFail` says. About which nothing could be said, it is delayed by
 * `redeliverAfterMs`, which uses up no try. What the processor throws is BullMQ's to judge.
 *
 * @throws {KestConfigError} for options that are unknown, wrong or missing
 *
 * @example
 * ```ts
 * const worker = new Worker(
 *   'payments',
 *   wrapProcessor(async (job) => charge(job.data), { operation: { policy: 'payments/handle' }, binding: 'message' }),
 *   { connection, concurrency: 20 },
 * )
 * ```
 */
export function wrapProcessor<Job extends BullJob, Result>(
  processor: (job: Job, token?: string, signal?: AbortSignal) => Result,
  options: ProcessorOptions<Job>,
): Processor<Job, Awaited<Result>> {
  const { redeliverAfterMs, logger, ...rest } = options ?? {}
  const wrapped = toConsumer<Job>('wrapProcessor', SCHEME, {
    deadLetter: () => {},
    ...rest,
  } as ConsumerOptions<Job>)
  const redelivery = new Redelivery('wrapProcessor', { redeliverAfterMs, logger })

  return async (job, token, signal): Promise<Awaited<Result>> => {
    const { id, name, data, queueName, attemptsStarted: count } = job
    const from = wrapped.uriOf(queueName)
    const message = {
      headers: inboundHeaders(job.opts),
      body: bodyOf(name, data),
      from,
      delivery: {
        ...(count !== undefined && count > 0 && { count }),
        ...(id !== undefined && { id: placeOf(id) }),
      },
      ...(signal && { signal }),
    }
    let begun = false
    try {
      const outcome = await deliver(wrapped, message, job, () => {
        begun = true
        takeLineageOut(job, wrapped)
        return processor(job, token, signal)
      })
      if (outcome.handled) return outcome.value
      throw refusal(job, outcome.error)
    } catch (error) {
      if (begun || error instanceof RefusedJob || signal?.aborted === true) throw error
      redelivery.tell(from, error)
      await job.moveToDelayed(Date.now() + redelivery.pauseMs, token)
      throw new DelayedJob(error)
    }
  }
}

/** An id may be any text, and a place is short and of ASCII. */
function placeOf(id: string): string {
  const text = encodeURIComponent(id)
  return text.length <= 256 ? text : text.slice(0, 256)
}

function refusal(job: BullJob, error: KestError): Error {
  // It is where dead letters are: nothing is put away in silence.
  job.opts.removeOnFail = false
  return new RefusedJob(error)
}

/** BullMQ knows what it must not try again by this name. */
class RefusedJob extends Error {
  override readonly name = 'UnrecoverableError'

  constructor(cause: KestError) {
    super(cause.code, { cause })
  }
}

/** BullMQ knows by this name that the job was moved. */
class DelayedJob extends Error {
  override readonly name = 'DelayedError'

  constructor(cause: unknown) {
    super('nothing could be said about the job: it is delivered again', { cause })
  }
}
