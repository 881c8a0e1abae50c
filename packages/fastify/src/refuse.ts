import { createPrivateSlot, cutOff, OnceAWhile, type Problem, toError, toProblem } from '@kest/core'
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { Turn } from './turn.js'

/** Why requests were refused. */
const refusals = createPrivateSlot<FastifyRequest, Error>()

/** Why a request was refused; `undefined` when it was not, or not yet. */
export function refusalOf(request: FastifyRequest): Error | undefined {
  return refusals.get(request)
}

/**
 * Ends the way of a request: tells the client a code and nothing more, or leaves the answer to Fastify's error handler.
 * Where half of another answer is out the response is destroyed, so that it does not look complete.
 */
export function refuse(
  error: unknown,
  onError: 'respond' | 'next',
  turn: Turn,
  done: HookHandlerDoneFunction,
): void {
  const reason = toError(error)
  refusals.set(turn.request, reason)
  if (turn.isOvertaken()) return
  if (turn.hasStrayHead()) cutOff(turn.reply.raw)
  else if (onError === 'next') done(reason)
  else answer(turn.reply, toProblem(reason))
}

/** Bytes, so that no serializer of the route reshapes them. */
export function answer(reply: FastifyReply, { status, headers, body }: Problem): void {
  reply
    .code(status)
    .headers(headers)
    .send(Buffer.from(JSON.stringify(body)))
}

const warned = new WeakMap<object, OnceAWhile>()

/** Loud: in the log, with how many there were, and once per route where no log level can hide it. */
export function warnUnprotected(request: FastifyRequest, error: unknown): void {
  const { config } = request.routeOptions
  const known = warned.get(config)
  const often = known ?? new OnceAWhile()
  const count = often.count()
  const reason = (error as Error).message
  if (count > 0) request.log.error({ reason, count }, 'a request to a route without protection was refused')
  if (known !== undefined) return
  warned.set(config, often)
  process.emitWarning(`${(error as Error).message} (its requests are refused)`, { code: 'ERR_KEST_CONFIG' })
}
