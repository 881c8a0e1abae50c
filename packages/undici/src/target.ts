import { KestConfigError, KestError } from '@kest/core'
import type { DispatchOptions } from './dispatcher.js'

/** The URL that one dispatch goes to, which is what the rule of K-SCOPE judges. `query` is not in it. */
export function targetOf({ origin, path, method }: DispatchOptions, stated: URL | null): URL {
  const base = originOf(origin, stated)
  // A tunnel has no path; what is not HTTP has no origin, and is never in scope.
  if (method === 'CONNECT' || base.origin === 'null') return base
  // An absolute URL as the path names a second host. Appended text could move the first one.
  if (typeof path !== 'string' || !path.startsWith('/')) {
    throw new KestError(
      'ERR_KEST_OUTBOUND',
      `dispatch: expected a path that starts with "/", got ${show(path)}`,
    )
  }
  return new URL(base.origin + path)
}

/**
 * The origin that an operator states for a dispatcher that goes to one place.
 * @throws {KestConfigError} when it is not an `http:` or `https:` origin
 */
export function parseOrigin(origin: unknown): URL {
  const url = toUrl(origin)
  if (url === null || url.origin === 'null' || url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw new KestConfigError(`origin: expected an origin like "http://hop2:8000", got ${show(origin)}`)
  }
  return url
}

function originOf(origin: unknown, stated: URL | null): URL {
  if (origin === undefined || origin === null || origin === '') {
    if (stated !== null) return stated
    throw new KestError(
      'ERR_KEST_OUTBOUND',
      'dispatch: the origin is unknown; for a Client or a Pool, state it by the option "origin"',
    )
  }
  const url = toUrl(origin)
  if (url === null) throw new KestError('ERR_KEST_OUTBOUND', `dispatch: ${show(origin)} is not an origin`)
  if (stated !== null && stated.origin !== url.origin) {
    throw new KestError(
      'ERR_KEST_OUTBOUND',
      `dispatch: asked for ${url.origin} on a dispatcher that was stated to go to ${stated.origin}`,
    )
  }
  return url
}

function toUrl(origin: unknown): URL | null {
  if (typeof origin !== 'string' && !(origin instanceof URL)) return null
  return URL.canParse(String(origin)) ? new URL(origin) : null
}

function show(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : typeof value
}
