import type { IncomingMessage, ServerResponse } from 'node:http'

/** Express's `next`: without an argument the request goes on, with one it is in error. */
export type Next = (error?: unknown) => void

/**
 * A middleware in terms of `node:http`, which Express 4 and 5 take wherever they take a handler.
 *
 * @typeParam Req what the middleware's options want of a request; inferred
 */
export type KestMiddleware<Req extends IncomingMessage = IncomingMessage> = (
  req: Req,
  res: ServerResponse,
  next: Next,
) => void

/** What is read of the application that a request is in; both majors have it. */
export interface ApplicationParts {
  readonly mountpath?: unknown
  readonly parent?: ApplicationParts | undefined
}

/** What Express puts on a request, as far as it is read here. Nothing of it is trusted to be there. */
export interface RequestParts extends IncomingMessage {
  readonly app?: ApplicationParts
  readonly route?: { readonly path?: unknown; readonly stack?: readonly object[] }
  readonly params?: object
  /** As the application's `trust proxy` says. */
  readonly ip?: unknown
  /** What other middleware calls the request. */
  readonly id?: unknown
}
