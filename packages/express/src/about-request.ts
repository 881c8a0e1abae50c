import { type AboutRequest, requestFacts } from '@kest/core'
import type { RequestParts } from './middleware.js'
import { applicationPath, joinPatterns } from './operation-name.js'

/** What the log says of a request, asked when there is a line to write. Before a route was matched that is its path. */
export function aboutRequest(req: RequestParts): AboutRequest {
  return () =>
    requestFacts(req, () => {
      const { app, route, ip, id } = req
      const pattern = route === undefined ? undefined : joinPatterns(applicationPath(app), route.path)
      return { route: pattern, peer: ip, id }
    })
}
