import type { ClientRequest, IncomingMessage } from 'node:http'
import { type AwaitedReceipt, type InContext, isPromise, takeReceipts } from '@kest/core'

type Emit = (event: string | symbol, ...args: unknown[]) => boolean

/** The events of a request that bring its answer. */
const ANSWERS: ReadonlySet<string | symbol> = new Set(['response', 'upgrade', 'connect'])

/**
 * Takes the receipt of a request out of its answer, before anybody hears of that (K-RECEIPT): out of the head that counts, and
 * out of informational heads and trailers, where it counts for nothing. Until the receipt was looked at the answer is held, and
 * the end of the request behind it; where it does not hold, the request fails instead.
 *
 * @param own the asynchronous context of whoever sends
 */
export function takeReceipt(request: ClientRequest, receipt: AwaitedReceipt, own: InContext): void {
  // An answer to it may come by a connection that is handed over.
  if (request.getHeader('upgrade') !== undefined) receipt.unavailable('a connection that is handed over')
  const emit = request.emit.bind(request) as Emit
  let phase: 'waiting' | 'held' | 'over' | 'failed' = 'waiting'
  let isClosed = false
  let isLeft = false

  function answered(args: unknown[]): boolean {
    const values = takeOut(args[1] as IncomingMessage)
    try {
      const looking = own(() => receipt.arrived(values))
      if (!isPromise(looking)) {
        phase = 'over'
        return emit(...(args as Parameters<Emit>))
      }
      phase = 'held'
      // What a listener throws is not about the receipt.
      looking.then(
        () => process.nextTick(release, args),
        (error: unknown) => process.nextTick(refuse, error),
      )
    } catch (error) {
      phase = 'held'
      process.nextTick(refuse, error)
    }
    // Somebody will take it: Node throws away what nobody does.
    return true
  }

  function release(args: unknown[]): void {
    if (phase !== 'held') return
    phase = 'over'
    const response = args[1] as IncomingMessage
    // Node destroys the request also where the connection is closed behind an answer that is complete.
    const isBroken = response.destroyed || (request.destroyed && (isLeft || !response.complete))
    closing(() => {
      if (isBroken) fail(brokenOff())
      else if (!emit(...(args as Parameters<Emit>))) discard(args)
    })
  }

  function refuse(error: unknown): void {
    if (phase === 'held') closing(() => fail(error))
  }

  /** What a listener throws keeps no other from hearing that it is over. */
  function closing(tell: () => void): void {
    try {
      tell()
    } finally {
      if (isClosed) emit('close')
    }
  }

  /** It is said here, once: a connection that is closed by now says nothing any more. */
  function fail(error: unknown): void {
    phase = 'failed'
    request.destroy()
    emit('error', error)
  }

  const destroy = request.destroy
  request.destroy = function kestDestroy(this: ClientRequest, ...why: [Error?]): ClientRequest {
    isLeft = true
    return Reflect.apply(destroy, this, why)
  }

  request.emit = function kestEmit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'information') return emit(event, ...args.map(withoutReceipts))
    if (phase === 'waiting' && ANSWERS.has(event)) return answered([event, ...args])
    if (phase === 'held' && event === 'close') {
      isClosed = true
      return true
    }
    if (phase === 'failed' && event === 'error') return true
    if (event === 'error') phase = 'over'
    return emit(event, ...args)
  } as ClientRequest['emit']
}

/** What Node does with an answer that nobody listens for. */
function discard([, response, socket]: unknown[]): void {
  ;(response as IncomingMessage).resume()
  ;(socket as { destroy(): void } | undefined)?.destroy()
}

function takeOut(response: IncomingMessage): readonly string[] {
  hideTrailers(response)
  // Node makes these of the list when they are asked for, by as many fields as it had.
  const { headers, headersDistinct } = response
  const { headers: rest, values } = takeReceipts(response.rawHeaders)
  if (values.length === 0) return values
  response.rawHeaders = rest
  for (const fields of [headers, headersDistinct]) delete fields['kest-receipt']
  return values
}

/** They come later, and are made of the list as the headers are. */
function hideTrailers(response: IncomingMessage): void {
  let all = response.rawTrailers
  let isReading = false
  Object.defineProperty(response, 'rawTrailers', {
    get: () => (isReading ? all : takeReceipts(all).headers),
    set: (raw: string[]) => {
      all = raw
    },
    enumerable: true,
    configurable: true,
  })
  for (const name of ['trailers', 'trailersDistinct'] as const) {
    const get = (): unknown => {
      isReading = true
      try {
        return takeReceipts(Reflect.get(Object.getPrototypeOf(response), name, response)).headers
      } finally {
        isReading = false
      }
    }
    Object.defineProperty(response, name, { get, enumerable: false, configurable: true })
  }
}

/** Of an informational head, in the form in which Node tells it. */
function withoutReceipts(told: unknown): unknown {
  const { headers, rawHeaders } = told as { readonly headers?: unknown; readonly rawHeaders?: unknown }
  return {
    ...(told as object),
    headers: takeReceipts(headers).headers,
    rawHeaders: takeReceipts(rawHeaders).headers,
  }
}

/** As Node says it. */
function brokenOff(): Error {
  return Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
}
