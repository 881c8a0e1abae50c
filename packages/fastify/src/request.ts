import { createPrivateSlot, type Exchange, type RequestKest } from '@kest/core'
import type { FastifyRequest } from 'fastify'

/**
 * `request.kest`: what Kest knows about a request. Its state ends some time after the close, too, where a handler has
 * hijacked its reply (K-STATE).
 */
export type KestRequest = RequestKest

/**
 * Requests that were judged; `null` for those that are left alone. Not on the request, where others could write it; and by
 * Fastify's request, since one of Node's may be routed again as another.
 */
const exchanges = createPrivateSlot<FastifyRequest, Exchange | null>()

/** `undefined` for a request that was not judged yet, `null` for one that is left alone. */
export function exchangeOf(request: FastifyRequest): Exchange | null | undefined {
  return exchanges.get(request)
}

/** Kest has nothing to do with this request. */
export function leaveAlone(request: FastifyRequest): void {
  exchanges.set(request, null)
}

/** The request was let in. */
export function letIn(request: FastifyRequest, exchange: Exchange): void {
  exchanges.set(request, exchange)
  request.kest = exchange
}
