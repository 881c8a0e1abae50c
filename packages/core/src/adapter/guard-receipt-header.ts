import type { ServerResponse } from 'node:http'
import type { ArrivedResponse } from '../ingress/arrived.js'
import { RECEIPT_HEADER, takeReceipts } from '../receipts/receipt-header.js'

/**
 * For adapters: sees to it that a response has the receipt that its request gets, and no other (K-RECEIPT). What an application
 * or a proxy puts there, who may have it from somebody else, is removed: also where the head is written by hand, from early hints
 * and from trailers. Responses that are not Node's are left as they are: whoever adapts them does it.
 *
 * @param receipt asked when the head is written; `null`, and the default: there is none, as always at an edge
 */
export function guardReceiptHeader(response: ArrivedResponse, receipt: () => string | null = none): void {
  if (!isNodeResponse(response)) return
  const { writeHead } = response
  response.writeHead = function kestWriteHead(this: ServerResponse, status: number, ...given: unknown[]) {
    const rest = this.headersSent ? given : withReceipt(this, given, receipt())
    return Reflect.apply(writeHead, this, [status, ...rest]) as ServerResponse
  } as ServerResponse['writeHead']
  stripArgument(response, 'writeEarlyHints')
  stripArgument(response, 'addTrailers')
}

function none(): null {
  return null
}

/** The arguments of `writeHead` behind its status. Where they have a list, Node reads nothing else, as long as no header was set. */
function withReceipt(response: ServerResponse, given: readonly unknown[], value: string | null): unknown[] {
  const rest = [...given]
  const at = typeof rest[0] === 'string' || rest[0] === undefined ? 1 : 0
  response.removeHeader(RECEIPT_HEADER)
  const { headers } = takeReceipts(rest[at])
  if (rest.length > at) rest[at] = headers
  if (value === null) return rest
  if (!Array.isArray(headers)) response.setHeader(RECEIPT_HEADER, value)
  else
    rest[at] = Array.isArray(headers[0])
      ? [...headers, [RECEIPT_HEADER, value]]
      : [...headers, RECEIPT_HEADER, value]
  return rest
}

function stripArgument(response: ServerResponse, name: 'writeEarlyHints' | 'addTrailers'): void {
  const method: unknown = response[name]
  if (typeof method !== 'function') return
  Object.defineProperty(response, name, {
    value: (headers: unknown, ...rest: unknown[]): unknown =>
      Reflect.apply(method, response, [takeReceipts(headers).headers, ...rest]),
    writable: true,
    configurable: true,
  })
}

function isNodeResponse(response: object): response is ServerResponse {
  const { writeHead, removeHeader } = response as Partial<ServerResponse>
  return typeof writeHead === 'function' && typeof removeHeader === 'function'
}
