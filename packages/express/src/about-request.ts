import type { KnownToFramework } from '@kest/core'
import type { RequestParts } from './middleware.js'
import { applicationPath, joinPatterns } from './operation-name.js'

/** What Express knows of a request for the log. Before a route was matched the log says its path. */
export function knownOf({ app, route, ip, id }: RequestParts): KnownToFramework {
  const pattern = route === undefined ? undefined : joinPatterns(applicationPath(app), route.path)
  return { route: pattern, peer: ip, id }
}
