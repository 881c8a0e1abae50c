import { KestConfigError, toProblem } from '@kest/core'
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'

/** Tells the client a code and nothing more, or leaves the answer to Fastify's error handler. */
export function refuse(
  error: unknown,
  onError: 'respond' | 'next',
  reply: FastifyReply,
  done: HookHandlerDoneFunction,
): void {
  if (reply.sent) return
  // A function of the route may have thrown anything, and `done(undefined)` would let the request pass.
  const failure =
    error instanceof Error
      ? error
      : new KestConfigError('what a function threw is no error', { cause: error })
  const problem = onError === 'respond' ? toProblem(failure) : null
  if (problem === null) {
    done(failure)
    return
  }
  // Bytes, so that no serializer of the route reshapes them.
  const body = Buffer.from(JSON.stringify(problem.body))
  reply.code(problem.status).headers(problem.headers).send(body)
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
