import type { ServerResponse } from 'node:http'
import { types } from 'node:util'
import { KestError } from '../errors.js'
import { cutOff } from '../ingress/departure.js'
import type { Problem } from '../ingress/problem.js'

/**
 * For adapters: why a request is refused, as an Error. A function among the options may have thrown anything, and with
 * nothing, or with one of its own words (`'route'`), a framework would let the request go on.
 */
export function toError(error: unknown): Error {
  if (error instanceof Error || types.isNativeError(error)) return error
  return new KestError('ERR_KEST_CONFIG', 'a function in the options threw something that is not an Error', {
    cause: error,
  })
}

/**
 * For adapters of frameworks whose response is Node's own: answers a request that is refused. Where half of another answer
 * is out, or nobody is there, the response is cut off, so that it does not look complete.
 */
export function respond(response: ServerResponse, { status, headers, body }: Problem): void {
  if (response.headersSent || response.destroyed) {
    cutOff(response)
    return
  }
  const text = JSON.stringify(body)
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.setHeader('content-length', Buffer.byteLength(text))
  response.end(text)
}
