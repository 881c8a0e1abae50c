import type { IncomingMessage, ServerResponse } from 'node:http'
import { createPrivateSlot, type Exchange, type RequestKest } from '@kest/core'

/** Node's `next`, as both platforms have it. */
export type Next = (error?: unknown) => void

/** A middleware in terms of `node:http`: both platforms take it. */
export type Middleware = (request: IncomingMessage, response: ServerResponse, next: Next) => void

/** What handlers get from `@Req()` besides what their platform has: `@Req() request: Request & WithKest`. */
export interface WithKest {
  /** What Kest knows about the request; absent where the route is `@Open()`. */
  readonly kest: RequestKest
}

/** A request of either platform, as far as it is read here: Express's is Node's own, Fastify's has it. */
export type PlatformRequest = IncomingMessage & {
  readonly raw?: IncomingMessage
  /** Fastify's. */
  readonly routeOptions?: { readonly url?: string; readonly config?: unknown }
  /** Express's. */
  readonly route?: { readonly path?: unknown }
}

/** A response of either platform. */
export type PlatformResponse = ServerResponse & {
  readonly raw?: ServerResponse
  /** Fastify's. */
  readonly hijack?: () => unknown
  readonly sent?: boolean
}

/** Node's request. */
export function requestOf(request: PlatformRequest): IncomingMessage {
  return request.routeOptions === undefined ? request : (request.raw as IncomingMessage)
}

/** Node's response. */
export function responseOf(response: PlatformResponse): ServerResponse {
  return typeof response.hijack === 'function' ? (response.raw as ServerResponse) : response
}

/** The pattern of the route that a request is in, prefixes included; `undefined` outside of one. */
export function patternOf({ routeOptions, route }: PlatformRequest): string | undefined {
  const pattern = routeOptions === undefined ? route?.path : routeOptions.url
  return pattern === undefined ? undefined : String(pattern)
}

/** Requests that were let in, by Node's request. Not a property of it: nothing else can write it. */
const exchanges = createPrivateSlot<IncomingMessage, Exchange>()

/** `undefined` for a request that was not let in, or is left alone. */
export function exchangeOf(request: IncomingMessage): Exchange | undefined {
  return exchanges.get(request)
}

export function letIn(request: IncomingMessage & { kest?: RequestKest }, exchange: Exchange): void {
  exchanges.set(request, exchange)
  request.kest = exchange
}
