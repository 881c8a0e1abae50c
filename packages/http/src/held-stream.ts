import type { ClientHttp2Stream } from 'node:http2'
import { type AwaitedReceipt, contextOfNow, isPromise, takeReceipts } from '@kest/core'

type Emit = (event: string | symbol, ...args: unknown[]) => boolean
type Push = (chunk: unknown, encoding?: BufferEncoding) => boolean

/**
 * Takes the receipt of a stream of HTTP/2 out of its answer, before anybody hears of that (K-RECEIPT): out of the head that counts,
 * and out of informational heads and trailers, where it counts for nothing. Until the receipt was looked at, what the other side
 * says and sends is held; where it does not hold, the stream fails instead.
 */
export function takeStreamReceipt(stream: ClientHttp2Stream, receipt: AwaitedReceipt): void {
  // What a mock makes may be nothing of the kind.
  if (typeof stream?.emit !== 'function' || typeof stream.push !== 'function') return
  const own = contextOfNow()
  const emit = stream.emit.bind(stream) as Emit
  const push = stream.push.bind(stream) as Push
  let phase: 'waiting' | 'held' | 'over' = 'waiting'
  const held: (() => unknown)[] = []

  function answered(event: string, args: unknown[], values: readonly string[]): boolean {
    const tell = (): boolean => emit(event, ...args)
    try {
      const looking = own(() => receipt.arrived(values))
      phase = 'held'
      // Node may have had data before it tells of the head.
      held.unshift(tell)
      if (!isPromise(looking)) {
        release()
        return true
      }
      // What a listener throws is not about the receipt.
      looking.then(
        () => process.nextTick(release),
        (error: unknown) => process.nextTick(refuse, error),
      )
    } catch (error) {
      phase = 'held'
      process.nextTick(refuse, error)
    }
    return true
  }

  function release(): void {
    if (phase !== 'held') return
    phase = 'over'
    tellNext(held.splice(0))
  }

  /** What a listener throws keeps no other from what comes next. */
  function tellNext([next, ...rest]: readonly (() => unknown)[]): void {
    try {
      next?.()
    } finally {
      if (rest.length > 0) tellNext(rest)
    }
  }

  function endUnanswered(): void {
    if (phase !== 'waiting') return
    phase = 'held'
    release()
  }

  function refuse(error: unknown): void {
    if (phase !== 'held') return
    phase = 'over'
    held.length = 0
    stream.destroy(error as Error)
  }

  stream.emit = function kestEmit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'response' || event === 'headers' || event === 'trailers') {
      const [head, flags, raw, ...rest] = args
      const { headers, values: joined } = takeReceipts(head)
      const { headers: fields, values } = takeReceipts(raw)
      const bare = [headers, flags, fields, ...rest].slice(0, args.length)
      if (event === 'response' && phase === 'waiting')
        return answered(event, bare, values.length > 0 ? values : joined)
      if (phase !== 'held') return emit(event, ...bare)
      held.push(() => emit(event, ...bare))
      return true
    }
    // Whoever broke it off, or has failed, hears no more of the answer.
    if (event === 'error' || event === 'close') phase = 'over'
    return emit(event, ...args)
  } as ClientHttp2Stream['emit']

  stream.push = function kestPush(...chunk: Parameters<Push>): boolean {
    if (phase === 'over') return push(...chunk)
    held.push(() => push(...chunk))
    // One that is closed without a head has to end all the same.
    if (phase === 'waiting' && stream.closed) setImmediate(endUnanswered)
    // No more is read, until this was taken.
    return false
  } as ClientHttp2Stream['push']
}
