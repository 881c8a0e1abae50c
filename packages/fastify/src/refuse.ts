import { KestError, type Problem, toProblem } from '@kest/core'
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import { isAnswered } from './answered.js'

/** Tells the client a code and nothing more, or leaves the answer to Fastify's error handler. */
export function refuse(
  error: unknown,
  onError: 'respond' | 'next',
  request: FastifyRequest,
  reply: FastifyReply,
  done: HookHandlerDoneFunction,
): void {
  if (isAnswered(request, reply)) return
  if (onError === 'next') {
    done(asError(error))
    return
  }
  answer(reply, toProblem(error))
}

/** Bytes, so that no serializer of the route reshapes them. */
export function answer(reply: FastifyReply, { status, headers, body }: Problem): void {
  reply
    .code(status)
    .headers(headers)
    .send(Buffer.from(JSON.stringify(body)))
}

/** A function of the route may have thrown anything, and `done(undefined)` would let the request pass. */
function asError(error: unknown): Error {
  if (error instanceof Error) return error
  return new KestError('ERR_KEST_CONFIG', 'a function in the options threw something that is not an Error', {
    cause: error,
  })
}

const warned = new WeakSet<object>()

/** Loud: each request in the log, and once per route where no log level can hide it. */
export function warnUnprotected(request: FastifyRequest, error: unknown): void {
  const { config } = request.routeOptions
  request.log.error({ err: error }, 'a request to a route without protection was refused')
  if (warned.has(config)) return
  warned.add(config)
  process.emitWarning(`${(error as Error).message} (its requests are refused)`, { code: 'ERR_KEST_CONFIG' })
}
