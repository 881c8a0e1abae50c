import type { FastifyReply, FastifyRequest } from 'fastify'

/** Replies that something was given to, but that other hooks may still hold back: Fastify calls those not sent. */
const given = new WeakSet<FastifyReply>()

/** Called by the first hooks of an answer, which run at once when it is given. */
export function noteAnswer(reply: FastifyReply): void {
  given.add(reply)
}

/** Whether the request has its answer, or its time is over, so that it will have one without us. */
export function isAnswered(request: FastifyRequest, reply: FastifyReply): boolean {
  if (given.has(reply) || reply.sent || reply.raw.headersSent) return true
  // Only with a time limit: to ask makes a controller where there is none.
  return (request.routeOptions.handlerTimeout ?? 0) > 0 && request.signal.aborted
}

/** Whether somebody else than Fastify answers, or has answered. */
export function isHijacked(reply: FastifyReply): boolean {
  return reply.sent && !given.has(reply)
}
