/**
 * undici's dispatcher, as far as Kest needs it. Structural, so that every version fits and none is imported.
 */

/** Anything with a `dispatch` method: an `Agent`, a `Pool`, what `compose()` made, or a plain object. */
export interface Dispatchable {
  dispatch(options: never, handler: never): boolean
}

/** What a dispatch is told. Members that Kest does not look at travel along. */
export interface DispatchOptions {
  readonly origin?: unknown
  readonly path?: unknown
  readonly query?: unknown
  readonly method?: unknown
  readonly headers?: unknown
  readonly body?: unknown
}

/** Whoever waits for the response: of undici's first generation (`onError`), or its second (`onResponseError`). */
export interface DispatchHandler {
  onConnect?(abort: (reason: Error) => void, context: unknown): void
  onHeaders?(status: unknown, headers: unknown, ...rest: unknown[]): unknown
  onError?(error: unknown): void
  onRequestStart?(controller: { abort(reason: Error): void }, context: unknown): void
  onResponseStart?(controller: unknown, status: number, headers: object, message?: string): void
  onResponseError?(controller: unknown, error: unknown): void
}

export type Dispatch = (options: DispatchOptions, handler: DispatchHandler) => boolean

/** The inner dispatcher's method, looked up when it is called: others may replace it. */
export function dispatchOf(dispatcher: Dispatchable): Dispatch {
  return (options, handler) => dispatcher.dispatch(options as never, handler as never)
}

export function isDispatchable(value: unknown): value is Dispatchable {
  return (
    ((typeof value === 'object' && value !== null) || typeof value === 'function') &&
    typeof (value as { dispatch?: unknown }).dispatch === 'function'
  )
}

/**
 * Tells a handler that its request was not sent, as undici does: by its error method, at any time. undici gives no
 * controller either when there is no connection yet.
 */
export function refuse(handler: DispatchHandler, error: unknown): void {
  if (typeof handler.onResponseError === 'function') handler.onResponseError(null, error)
  else handler.onError?.(error)
}
