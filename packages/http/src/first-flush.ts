import type { ClientRequest } from 'node:http'
import { isPromise, type MaybePromise } from '@kest/core'
import { WrittenBody } from './written-body.js'

type Method = (...args: unknown[]) => unknown

/** What may send the first bytes of a request. The last is what agents for proxies call, and all others end in. */
type Flushing = Record<'write' | 'end' | 'flushHeaders' | '_implicitHeader', Method>

/** What comes before a request. */
export interface Preparation {
  /** How long the body may be, bytes, that has to be whole first; `null` where it need not be. Asked once. */
  bodyLimit(): number | null
  /** @param body what was written, where it had to be whole */
  prepare(body: readonly Uint8Array[] | undefined): MaybePromise<void>
}

/**
 * Puts something before the first flush of a request: `prepare` runs once, whoever begins to send. While its promise is
 * pending, what is written is kept, and `write` answers `false`; then all of it is sent in order, and `drain` follows. When
 * it throws or rejects, the request is destroyed with that error, before a byte is sent.
 *
 * Where the body has to be whole, it runs when that has ended: until then what is written is taken, up to its bound.
 *
 * Of a request that was destroyed before, nothing is prepared.
 */
export function beforeFirstFlush(request: ClientRequest, { bodyLimit, prepare }: Preparation): void {
  const flushing = request as unknown as Flushing
  const { write, end, flushHeaders, _implicitHeader } = flushing
  const kept: { readonly method: Method; readonly args: readonly unknown[] }[] = []
  let phase: 'new' | 'collecting' | 'preparing' | 'ready' | 'refused' = 'new'
  let body: WrittenBody | undefined
  let failure: unknown

  function begin(): void {
    if (phase !== 'new') return
    phase = request.destroyed ? 'ready' : 'preparing'
    if (phase === 'ready') return
    try {
      const limit = bodyLimit()
      if (limit === null) run()
      else {
        phase = 'collecting'
        body = new WrittenBody(request, limit)
      }
    } catch (error) {
      refuse(error)
    }
  }

  function run(): void {
    phase = 'preparing'
    try {
      const prepared = prepare(body?.chunks)
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
    if (phase === 'collecting') return collect(method, args, instead)
    if (phase === 'preparing') kept.push({ method, args })
    else process.nextTick(tell, args, failure)
    return instead
  }

  /** Takes what is written as if it were sent: who writes may wait for that before he writes the rest. */
  function collect(method: Method, args: readonly unknown[], instead: unknown): unknown {
    try {
      if (method === flushHeaders) body?.assertNobodyWaits()
      else {
        if (method === end)
          for (const chunk of body?.chunks ?? []) kept.push({ method: write, args: [chunk] })
        const left = body === undefined ? args : body.take(args, method === end)
        if (left !== null) kept.push({ method, args: left })
      }
    } catch (error) {
      refuse(error)
      process.nextTick(tell, args, error)
      return instead
    }
    if (method === end) run()
    return method === write ? true : instead
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
