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
  for (const name of ['writeEarlyHints', 'addTrailers'] as const)
    if (typeof response[name] === 'function')
      replace(
        response,
        name,
        (send) =>
          (headers, ...rest) =>
            send(takeReceipts(headers).headers, ...rest),
      )
  const { stream } = response as { readonly stream?: Http2Answer }
  if (typeof stream?.respond === 'function') guardStream(stream, receipt)
}

/** As far as it is needed here, of HTTP/2: whoever has a response has its stream. */
interface Http2Answer {
  respond(headers?: object, ...rest: unknown[]): unknown
  respondWithFD(fd: unknown, headers?: object, ...rest: unknown[]): unknown
  respondWithFile(path: unknown, headers?: object, ...rest: unknown[]): unknown
  additionalHeaders(headers: object): unknown
  sendTrailers(headers: object): unknown
}

function guardStream(stream: Http2Answer, receipt: () => string | null): void {
  const head = (given: object = {}): object => {
    const { headers } = takeReceipts(given)
    const value = receipt()
    if (value === null) return headers
    return Array.isArray(headers)
      ? [...headers, RECEIPT_HEADER, value]
      : { ...headers, [RECEIPT_HEADER]: value }
  }
  const bare = (given: object): object => takeReceipts(given).headers
  replace(
    stream,
    'respond',
    (respond) =>
      (headers, ...rest) =>
        respond(head(headers as object), ...rest),
  )
  for (const name of ['respondWithFD', 'respondWithFile'] as const)
    replace(
      stream,
      name,
      (respond) =>
        (what, headers, ...rest) =>
          respond(what, head(headers as object), ...rest),
    )
  for (const name of ['additionalHeaders', 'sendTrailers'] as const)
    replace(stream, name, (send) => (headers) => send(bare(headers as object)))
}

type Method = (...args: unknown[]) => unknown

function replace<T extends object>(target: T, name: keyof T, made: (method: Method) => Method): void {
  const method = target[name] as Method
  const value = made((...args) => Reflect.apply(method, target, args))
  Object.defineProperty(target, name, { value, writable: true, configurable: true })
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

function isNodeResponse(response: object): response is ServerResponse {
  const { writeHead, removeHeader } = response as Partial<ServerResponse>
  return typeof writeHead === 'function' && typeof removeHeader === 'function'
}
