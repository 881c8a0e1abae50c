import { type Audit, OtlpReceiver, type SpanBatch } from '@kest/audit'
import { KestError } from '@kest/core'
import type { Address } from '../arguments/address.js'
import type { Io } from '../command.js'
import { InputError } from '../files/input-error.js'

/** When to stop receiving, beside being told by a signal. Milliseconds; `null` for never. */
export interface ReceiveUntil {
  readonly forMs: number | null
  /** Without spans. */
  readonly idleMs: number | null
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** @throws {InputError} when nothing can listen there */
export async function openReceiver(address: Address): Promise<OtlpReceiver> {
  try {
    return await OtlpReceiver.listen(address)
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    throw new InputError(`--listen: ${cause.message}`, { cause })
  }
}

/**
 * Receives until it is told to stop: by SIGINT or SIGTERM, after a time, or when nothing comes any more. What is on its way
 * is then still taken. A second signal ends the process, as signals do.
 */
export async function receive(
  one: Audit,
  receiver: OtlpReceiver,
  { forMs, idleMs }: ReceiveUntil,
  { stderr, status }: Io,
): Promise<void> {
  const heedSignals = (heed: 'once' | 'removeListener'): void => {
    for (const signal of SIGNALS) process[heed](signal, stop)
  }
  const stop = (): void => {
    // The next one, whichever it is, does what signals do.
    heedSignals('removeListener')
    void receiver.close()
  }
  const whole = forMs === null ? undefined : setTimeout(stop, forMs)
  const idle = idleMs === null ? undefined : setTimeout(stop, idleMs)
  heedSignals('once')
  try {
    await stderr.write(`listening on ${receiver.url}\n`)
    let spans = 0
    await one.read(
      tapped(receiver, (batch) => {
        spans += batch.spans.length
        if (batch.spans.length > 0) idle?.refresh()
        status.show(() => `${spans} spans received`)
      }),
    )
    status.clear()
  } finally {
    heedSignals('removeListener')
    clearTimeout(whole)
    clearTimeout(idle)
    await receiver.close()
  }
}

async function* tapped(
  source: AsyncIterable<SpanBatch>,
  see: (batch: SpanBatch) => void,
): AsyncGenerator<SpanBatch> {
  for await (const batch of source) {
    see(batch)
    yield batch
  }
}
