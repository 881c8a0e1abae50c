import type { IncomingMessage, ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import { createPrivateSlot, KestConfigError, respond, toError, toProblem } from '@kest/core'
import type { OnError } from './exchange.js'
import type { Next, RequestParts } from './middleware.js'
import { sealLayers } from './seal-layers.js'
import { beginDeciding, giveUp, keepBack } from './undecided.js'

/** Why requests were refused. Not a property of the request: nothing else can write it. */
const refusals = createPrivateSlot<IncomingMessage, Error>()

/**
 * Ends the way of a request, so that nothing behind it runs: it is answered here, or with `onError: 'next'` by the
 * application's error handlers. Where it has an answer already, as by a time-out, nobody is told.
 */
export function refuse(
  error: unknown,
  onError: OnError,
  req: IncomingMessage,
  res: ServerResponse,
  next: Next,
): void {
  const reason = toError(error)
  refusals.set(req, reason)
  giveUp(req)
  if (res.writableEnded) return
  // Where layers cannot be told, an error handler could let the request go on.
  if (onError === 'next' && sealLayers(req, isStopped)) next(reason)
  else respond(res, toProblem(reason))
}

/**
 * Answers a request that was refused and came on nevertheless, as by an error handler that calls `next()`.
 * @returns whether it was refused
 */
export function refuseAgain(req: IncomingMessage, res: ServerResponse): boolean {
  const reason = refusals.get(req)
  if (reason === undefined) return false
  if (!res.writableEnded) respond(res, toProblem(reason))
  return true
}

/** Where the layers are known to ask. */
const asking = new WeakSet<object>()

/** Has what stands behind wait for a decision; {@link refuse}, or `goOn`, ends that. Where layers cannot be told, it does not. */
export function hold(req: RequestParts): void {
  beginDeciding(req)
  const place = req.route ?? req.app
  if (place !== undefined && !asking.has(place) && sealLayers(req, isStopped)) asking.add(place)
}

function isStopped(req: IncomingMessage, res: ServerResponse, run: () => unknown): boolean {
  return refuseAgain(req, res) || keepBack(req, run)
}

const warned = new Set<string>()

/**
 * A mistake in how the application was put together, found at a request. The process is told, once: the client learns
 * the code alone, and there may be no instance whose logger could be asked.
 */
export function misconfigured(message: string, cause?: unknown): KestConfigError {
  const error = new KestConfigError(message, cause === undefined ? {} : { cause })
  if (!warned.has(message)) {
    warned.add(message)
    const detail = cause === undefined ? '' : inspect(cause)
    process.emitWarning(message, { type: 'KestWarning', code: error.code, detail })
  }
  return error
}
