import { operationName } from '@kest/core'
import type { ApplicationParts, RequestParts } from './middleware.js'
import { misconfigured } from './refuse.js'

/**
 * Name by the route that the request is in. Where a router is mounted is not known to it, where an application is
 * mounted is: `/tenants/:tenant` of `app.use('/tenants/:tenant', subApp)` is part of the name.
 *
 * @throws {KestConfigError} outside a route
 */
export function operationNameOf(req: RequestParts): string {
  if (req.route === undefined) {
    throw misconfigured('protect() outside a route cannot name the operation: give it { operation }')
  }
  return operationName(req.method, joinPatterns(applicationPath(req.app), req.route.path))
}

/** A pattern as text: several stand in brackets, a regular expression as it is written. */
export function patternText(path: unknown): string {
  return Array.isArray(path)
    ? `[${path.flat(Number.POSITIVE_INFINITY).map(String).join(',')}]`
    : String(path ?? '')
}

/** Where `path` is, seen from where `prefix` begins; `/` at a mount path is that mount path. */
export function joinPatterns(prefix: string, path: unknown): string {
  const text = patternText(path)
  if (text === '/' || text === '') return prefix === '' ? '/' : prefix
  return (prefix === '/' ? '' : prefix) + text
}

/** Where the application is mounted in others. */
export function applicationPath(app: ApplicationParts | undefined): string {
  if (app?.parent === undefined) return ''
  const path = joinPatterns(applicationPath(app.parent), app.mountpath)
  return path === '/' ? '' : path
}
