import type { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { ArrivedRequest, ArrivedResponse } from './arrived.js'

/** What waits for a connection to close: one listener on each, however many requests are in its pipeline. */
const waiting = new WeakMap<EventEmitter, Set<() => void>>()

/** Whether nobody is there any more to take the response. */
export function hasLeft(request: ArrivedRequest, response: ArrivedResponse): boolean {
  const stream = http2StreamOf(response)
  if (stream !== undefined) return stream.destroyed
  return response.destroyed || socketOf(request)?.destroyed === true
}

/**
 * Calls back once when a response is over, sent or not: when it closes, or the connection does. Of requests that wait in a
 * pipeline for the response before theirs, Node says neither.
 */
export function onceOver(request: ArrivedRequest, response: ArrivedResponse, listener: () => void): void {
  const socket = http2StreamOf(response) === undefined ? socketOf(request) : undefined
  const others = socket === undefined ? undefined : listenersOf(socket)
  let called = false
  const over = (): void => {
    if (called) return
    called = true
    others?.delete(over)
    listener()
  }
  response.once('close', over)
  others?.add(over)
}

/** RFC 9113 §7. */
const INTERNAL_ERROR = 2

/** Ends a response of which a part is out, so that it does not look complete: of HTTP/1 with its connection. */
export function cutOff(response: ServerResponse): void {
  const stream = http2StreamOf(response)
  // Destroyed without an error it would end with NO_ERROR.
  if (stream === undefined) response.destroy()
  else stream.close(INTERNAL_ERROR)
}

function listenersOf(socket: EventEmitter): Set<() => void> {
  const known = waiting.get(socket)
  if (known !== undefined) return known
  const listeners = new Set<() => void>()
  waiting.set(socket, listeners)
  socket.once('close', () => {
    for (const listener of listeners) listener()
  })
  return listeners
}

/** Of HTTP/1; what stands in for a connection where there is none may be no emitter. */
function socketOf({ socket }: ArrivedRequest): (EventEmitter & { readonly destroyed?: boolean }) | undefined {
  return typeof (socket as Partial<EventEmitter> | undefined)?.once === 'function'
    ? (socket as EventEmitter)
    : undefined
}

/** The response of Node's HTTP/2 has a stream, and does not say whether it was destroyed. */
function http2StreamOf(response: object): Http2Stream | undefined {
  return (response as { readonly stream?: Http2Stream }).stream
}

interface Http2Stream {
  readonly destroyed: boolean
  close(code: number): void
}
