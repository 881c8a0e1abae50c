import type { ClientRequest } from 'node:http'
import { isPromise, type MaybePromise } from '@kest/core'

type Method = (...args: unknown[]) => unknown

/** What may send the first bytes of a request. The last is what agents for proxies call, and all others end in. */
type Flushing = Record<'write' | 'end' | 'flushHeaders' | '_implicitHeader', Method>

/**
 * Puts something before the first flush of a request: `prepare` runs once, whoever begins to send. While its promise is
 * pending, what is written is kept, and `write` answers `false`; then all of it is sent in order, and `drain` follows. When
 * it throws or rejects, the request is destroyed with that error, before a byte is sent.
 *
 * Of a request that was destroyed before, nothing is prepared.
 */
export function beforeFirstFlush(request: ClientRequest, prepare: () => MaybePromise<void>): void {
  const flushing = request as unknown as Flushing
  const { write, end, flushHeaders, _implicitHeader } = flushing
  const kept: { readonly method: Method; readonly args: readonly unknown[] }[] = []
  let phase: 'new' | 'preparing' | 'ready' | 'refused' = 'new'
  let failure: unknown

  function begin(): void {
    if (phase !== 'new') return
    phase = request.destroyed ? 'ready' : 'preparing'
    if (phase === 'ready') return
    try {
      const prepared = prepare()
      if (isPromise(prepared)) prepared.then(release).catch(refuse)
      else release()
    } catch (error) {
      refuse(error)
    }
  }

  function refuse(error: unknown): void {
    phase = 'refused'
    failure = error
    request.destroy(error as Error)
    for (const { args } of kept.splice(0)) process.nextTick(tell, args, error)
  }

  function release(): void {
    if (request.destroyed) throw destroyed()
    phase = 'ready'
    let answer: unknown
    for (const { method, args } of kept.splice(0)) answer = Reflect.apply(method, request, args)
    // What its listeners throw is not about the request.
    if (answer === true) process.nextTick(() => request.emit('drain'))
  }

  /** @returns what `method` does, or `instead` where it is kept or refused */
  function flush(method: Method, args: readonly unknown[], instead: unknown): unknown {
    begin()
    if (phase === 'ready') return Reflect.apply(method, request, args)
    if (phase === 'preparing') kept.push({ method, args })
    else process.nextTick(tell, args, failure)
    return instead
  }

  flushing.write = (...args) => flush(write, args, false)
  flushing.end = (...args) => flush(end, args, request)
  flushing.flushHeaders = (...args) => flush(flushHeaders, args, undefined)
  flushing._implicitHeader = (...args) => {
    begin()
    // While it is prepared, the header is not written yet, and whoever writes first will come here again.
    return phase === 'ready' ? Reflect.apply(_implicitHeader, request, args) : undefined
  }
}

function tell(args: readonly unknown[], error: unknown): void {
  const callback = args.findLast((arg) => typeof arg === 'function') as ((error: unknown) => void) | undefined
  callback?.(error)
}

/** What Node says. */
function destroyed(): Error {
  return Object.assign(new Error('Cannot call write after a stream was destroyed'), {
    code: 'ERR_STREAM_DESTROYED',
  })
}
