import type { ServerResponse } from 'node:http'
import { KestConfigError, KestError, toProblem } from '@kest/core'
import type { OnError } from './exchange.js'
import type { Next } from './middleware.js'

/**
 * Ends the way of a request, so that nothing behind it runs. What is Kest's is answered here, or with
 * `onError: 'next'` given to the error handlers; errors of others (of a function in the options) always are.
 */
export function refuse(error: unknown, onError: OnError, res: ServerResponse, next: Next): void {
  const failure = asError(error)
  const problem = onError === 'respond' ? toProblem(failure) : null
  if (problem === null) next(failure)
  else respond(res, problem)
}

/** With nothing, `'route'` or `'router'`, which a function may throw as well, `next` would let the request go on. */
function asError(error: unknown): Error {
  if (error instanceof Error) return error
  return new KestError('ERR_KEST_CONFIG', 'a function in the options threw something that is not an Error', {
    cause: error,
  })
}

function respond(
  res: ServerResponse,
  { status, headers, body }: NonNullable<ReturnType<typeof toProblem>>,
): void {
  if (res.headersSent || res.destroyed) {
    // Another answer has begun, or nobody is there: it must not look complete.
    res.destroy()
    return
  }
  const text = JSON.stringify(body)
  res.statusCode = status
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
  res.setHeader('content-length', Buffer.byteLength(text))
  res.end(text)
}

const warned = new Set<string>()

/**
 * A mistake in how the application was put together, found at a request. The process is told, once: the client learns
 * the code alone, and there may be no instance whose logger could be asked.
 */
export function misconfigured(message: string): KestConfigError {
  const error = new KestConfigError(message)
  if (!warned.has(message)) {
    warned.add(message)
    process.emitWarning(message, { type: 'KestWarning', code: error.code })
  }
  return error
}
