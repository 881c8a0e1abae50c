import { AsyncLocalStorage } from 'node:async_hooks'
import { currentState, type InContext, isRedirect, type KestState, RedirectsSeen } from '@kest/core'
import type { DispatchOptions } from './dispatcher.js'
import { FetchCall } from './fetch-call.js'
import type { Around } from './own-context.js'

/** One thing that may dispatch again when it is answered a redirect: a call of fetch, or a handler and what it calls. */
type Trail = FetchCall | { readonly redirected: true }

const trails = new AsyncLocalStorage<Trail>()
const REDIRECTED: Trail = Object.freeze({ redirected: true })

/** Where fetches that are not ours were sent. */
const seen = new RedirectsSeen()

/** Runs one call of fetch, so that its dispatches are known to be of one call. */
export function asOneCall<R>(call: (trail: FetchCall) => R): R {
  const trail = new FetchCall(currentCall())
  return trails.run(trail, call, trail)
}

/** The call of our fetch that this runs in. */
export function currentCall(): FetchCall | null {
  const trail = trails.getStore()
  return trail instanceof FetchCall ? trail : null
}

/** What is told of one dispatch, before it and at its answer. */
export interface RedirectWatch {
  /** Whether the dispatch follows a redirect. */
  readonly follows: boolean
  /** Where its handler is to run: what that dispatches after a redirect follows it. */
  readonly own: InContext
  /** Looks at the answer. */
  readonly around: Around
}

/**
 * Watches one dispatch for redirects, and notices that it follows one. There are three that follow:
 *
 * - a call of our fetch: all its dispatches run in the asynchronous context of the call;
 * - an interceptor above: it dispatches again from the methods of its handler, after the answer;
 * - a fetch that is not ours, over a dispatcher that is: it shows neither, nor whether it will follow. It is known by the
 *   options that each fetch gives, and follows when it goes, in the same state, to where an answer to a fetch has pointed.
 */
export function watchRedirects(
  own: InContext,
  options: DispatchOptions,
  url: URL,
  bound: KestState | undefined,
): RedirectWatch {
  const trail = trails.getStore()
  const state = trail === undefined && isOfFetch(options) ? (bound ?? currentState()) : null
  let redirected = false

  function answered(
    status: unknown,
    headers: () => readonly (readonly [name: unknown, value: unknown])[],
  ): void {
    if (!isRedirect(status)) return
    const location = locations(headers())
    if (location.length === 0) return
    redirected = true
    if (trail !== undefined && !trail.redirected) trail.redirected = true
    if (state !== null) seen.note(state, url, location)
  }

  return {
    follows: trail?.redirected === true || (state !== null && seen.take(state, url)),
    own: (fn) => (redirected ? own(() => trails.run(REDIRECTED, fn)) : own(fn)),
    around: {
      onHeaders:
        (take) =>
        (status, headers, ...rest) => {
          answered(status, () => pairs(headers))
          return take(status, headers, ...rest)
        },
      onResponseStart:
        (start) =>
        (controller, status, headers, ...rest) => {
          answered(status, () => Object.entries(headers ?? {}))
          return start(controller, status, headers, ...rest)
        },
    },
  }
}

function locations(headers: readonly (readonly [name: unknown, value: unknown])[]): string[] {
  const found = headers.filter(([name]) => latin1(name).toLowerCase() === 'location')
  return found.flatMap(([, value]) => [value].flat().map(latin1))
}

/** Of names and values in turn, as undici's first generation of handlers is told them. */
function pairs(headers: unknown): [unknown, unknown][] {
  if (!Array.isArray(headers)) return []
  return headers.flatMap((name: unknown, n) =>
    n % 2 === 0 ? [[name, headers[n + 1]] as [unknown, unknown]] : [],
  )
}

function latin1(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('latin1') : String(value)
}

/** The options that every fetch of undici gives, in all its versions, and nobody else. */
function isOfFetch(options: DispatchOptions): boolean {
  return Object.hasOwn(options, 'upgrade') && (options as { maxRedirections?: unknown }).maxRedirections === 0
}
