import type { IncomingMessage, ServerResponse } from 'node:http'
import { createPrivateSlot, KestConfigError, respond, toError, toProblem } from '@kest/core'
import { type PlatformResponse, responseOf } from './requests.js'

/** Why requests were refused before they were in a route. */
const refusals = createPrivateSlot<IncomingMessage, Error>()

export function noteRefusal(request: IncomingMessage, reason: Error): void {
  refusals.set(request, reason)
}

/** Why a request was not let in; `undefined` when it was, or was left alone. */
export function refusalOf(request: IncomingMessage): Error | undefined {
  return refusals.get(request)
}

/**
 * Ends the way of a request that is refused: answers it, or with `next` leaves that to the application's filters.
 * @returns what to throw, so that interceptors are told and nothing behind runs
 */
export function refuse(error: unknown, onError: 'respond' | 'next', response: PlatformResponse): Error {
  const reason = toError(error)
  if (onError === 'respond') answer(reason, response)
  return reason
}

/** Responses that are answered here, for good. */
const answered = createPrivateSlot<ServerResponse, true>()

/** Answers with problem+json, and lets nobody answer after it. Where there is an answer already, nobody is told. */
export function answer(reason: unknown, response: PlatformResponse): void {
  const raw = responseOf(response)
  if (answered.get(raw) || raw.writableEnded || (raw !== response && response.sent && !raw.headersSent))
    return
  answered.set(raw, true)
  // What hooks of Fastify have set, such as CORS, is on its reply until it sends that.
  if (raw !== response && !raw.headersSent)
    for (const [name, value] of Object.entries(response.getHeaders())) raw.setHeader(name, value ?? '')
  respond(raw, toProblem(reason))
  seal(raw)
}

const WRITERS = [
  'setHeader',
  'setHeaders',
  'appendHeader',
  'removeHeader',
  'writeHead',
  'write',
  'end',
] as const

/**
 * What is thrown next comes to the application's filters, which would answer it once more; on Express that ends in an
 * error, for the headers are sent, and the connection is destroyed. So nothing can be written to the response any more.
 */
function seal(response: ServerResponse): void {
  if (!response.headersSent) return
  for (const writer of WRITERS) {
    Object.defineProperty(response, writer, { value: () => response, configurable: true, writable: true })
  }
}

const warned = new Set<string>()

/**
 * A mistake in how the application was put together, found at a request. The process is told, once: the client learns the
 * code alone.
 */
export function misconfigured(message: string, cause?: unknown): KestConfigError {
  const error = new KestConfigError(message, cause === undefined ? {} : { cause })
  if (!warned.has(message)) {
    warned.add(message)
    process.emitWarning(message, { type: 'KestWarning', code: error.code })
  }
  return error
}
