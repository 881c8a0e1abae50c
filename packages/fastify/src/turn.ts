import { createPrivateSlot } from '@kest/core'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** How many answers a reply was given. More than one: an error in what sends it, or after a time-out. */
const given = createPrivateSlot<FastifyReply, number>()

/** Called by the first hooks of an answer, which run at once when it is given; others may hold it back still. */
export function noteAnswer(reply: FastifyReply): void {
  given.set(reply, answersTo(reply) + 1)
}

/** Whether somebody else than Fastify answers, or has answered. */
export function isHijacked(reply: FastifyReply): boolean {
  return reply.sent && given.get(reply) === undefined
}

/**
 * What a hook of ours has taken on: until it calls back, nobody else need answer the request. Answers that were given
 * before do not count, since it may have begun in one of them, as when an error handler calls `callNotFound()`.
 */
export class Turn {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly #answers: number
  readonly #late: boolean

  constructor(request: FastifyRequest, reply: FastifyReply) {
    this.request = request
    this.reply = reply
    this.#answers = answersTo(reply)
    this.#late = isTimeOver(request)
  }

  /** Whether somebody else answers by now: Fastify, after a time-out, or whoever hijacked the reply. */
  isOvertaken(): boolean {
    const { request, reply } = this
    return reply.sent || answersTo(reply) !== this.#answers || (!this.#late && isTimeOver(request))
  }

  /**
   * Whether a head is out that is part of no answer we know of: then nobody will end it, and nothing can be sent. One
   * who answers on `reply.raw` says so by `reply.hijack()`.
   */
  hasStrayHead(): boolean {
    return this.reply.raw.headersSent && !this.isOvertaken()
  }
}

function answersTo(reply: FastifyReply): number {
  return given.get(reply) ?? 0
}

/** The signal also aborts when the body was read, which is no end of anything. */
function isTimeOver(request: FastifyRequest): boolean {
  // Only with a time limit: to ask makes a controller where there is none.
  if ((request.routeOptions.handlerTimeout ?? 0) === 0) return false
  const reason: unknown = request.signal.reason
  return reason instanceof Error && (reason as { code?: unknown }).code === 'FST_ERR_HANDLER_TIMEOUT'
}
