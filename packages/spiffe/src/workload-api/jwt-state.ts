import type { JwtBundle } from '../bundle/jwt-bundle.js'
import { parseJwtBundle } from '../bundle/spiffe-bundle.js'
import { quoted } from '../id/syntax.js'
import { type Problem, problemOf } from './problem.js'
import type { JWTBundlesResponse } from './workload_pb.js'
import { trustDomainOf } from './x509-state.js'

/** All that one message of FetchJWTBundles says. It takes the place of everything earlier ones said. */
export interface JwtBundlesState {
  readonly bundles: ReadonlyMap<string, JwtBundle>
  readonly problems: readonly Problem[]
}

/** Reads a message, each bundle for itself, as {@link readX509State} does. */
export function readJwtBundles(response: JWTBundlesResponse): JwtBundlesState {
  const problems: Problem[] = []
  const bundles = new Map<string, JwtBundle>()
  for (const [id, jwks] of Object.entries(response.bundles)) {
    try {
      const domain = trustDomainOf(id)
      bundles.set(domain.name, parseJwtBundle(jwks, domain))
    } catch (error) {
      problems.push(problemOf(`bundle ${quoted(id)}`, error))
    }
  }
  return Object.freeze({ bundles, problems: Object.freeze(problems) })
}
