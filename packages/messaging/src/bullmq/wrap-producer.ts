import { type ProducerOptions, toProducer } from '../shared/options.js'
import { override } from '../shared/override.js'
import { inTurn, Turns } from '../shared/turns.js'
import { carrying, type NewJob } from './carry.js'
import { SCHEME } from './metadata.js'
import type { BullFlow, BullFlowProducer, BullQueue } from './types.js'

/**
 * A queue of BullMQ whose jobs carry the passport, in `opts.telemetry.metadata`, if it is one of those that are told of
 * (`propagateTo`); from jobs of any other every `kest.*` member is removed. `add` and `addBulk`, which add in the order of the calls.
 * What job schedulers make carries none, and so nothing that repeats: its worker is an edge (`origin`).
 *
 * @throws {KestConfigError} for options that are unknown, wrong or missing. `add` rejects with what `Messages.send` does: then nothing was
 *   added
 *
 * @example
 * ```ts
 * const payments = wrapProducer(new Queue('payments', { connection }), { propagateTo: ['payments'], binding: 'message' })
 * await payments.add('charge', { order })
 * ```
 */
export function wrapProducer<Q extends BullQueue>(queue: Q, options: ProducerOptions): Q {
  const wrapped = toProducer('wrapProducer', SCHEME, options)
  const turns = new Turns()
  const optsOf = (job: NewJob) => carrying(job, queue.name, queue.opts?.telemetry, wrapped)
  return override(queue, {
    add: (name: string, data: unknown, opts?: object) =>
      inTurn(turns, optsOf({ name, data, opts }), (carried) =>
        queue.add(name as never, data as never, carried as never),
      ),
    addBulk: (jobs: readonly NewJob[]) =>
      inTurn(turns, Promise.all(jobs.map(optsOf)), (carried) =>
        queue.addBulk(jobs.map((job, n) => ({ ...job, opts: carried[n] })) as never),
      ),
  })
}

/**
 * A `FlowProducer` of BullMQ whose jobs carry the passport, each to its own queue, as {@link wrapProducer} has it.
 * @throws {KestConfigError} for options that are unknown, wrong or missing
 */
export function wrapFlowProducer<F extends BullFlowProducer>(producer: F, options: ProducerOptions): F {
  const wrapped = toProducer('wrapFlowProducer', SCHEME, options)
  const turns = new Turns()
  async function carried(flow: BullFlow): Promise<BullFlow> {
    const { queueName, children } = flow
    const opts = await carrying(flow, queueName, producer.opts?.telemetry, wrapped)
    return { ...flow, opts, ...(children && { children: await Promise.all(children.map(carried)) }) }
  }
  return override(producer, {
    add: (flow: BullFlow, opts?: unknown) =>
      inTurn(turns, carried(flow), (one) => producer.add(one as never, opts as never)),
    addBulk: (flows: readonly BullFlow[]) =>
      inTurn(turns, Promise.all(flows.map(carried)), (all) => producer.addBulk(all as never)),
  })
}
