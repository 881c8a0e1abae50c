import type { PolicyContext, PolicyRequest } from '@kest/core'

type Part<T> = {
  readonly [Member in keyof T]?: T[Member] extends readonly unknown[] ? T[Member] : Partial<T[Member]>
}

const WORKLOAD = 'spiffe://example.org/orders'

/** What policies see of an ordinary operation, unless a part says otherwise. */
export function contextOf(part: Part<PolicyContext> = {}): PolicyContext {
  const { trust_score = part.subject?.trust_score ?? 40, identity = part.subject?.workload ?? WORKLOAD } =
    part
  return {
    subject: {
      workload: identity,
      user: 'alice',
      agent: null,
      task: null,
      trust_score,
      taints: [],
      identity_by: 'spiffe://example.org/gateway',
      ...part.subject,
    },
    object: { id: 'GET /orders/:id', attributes: {}, ...part.object },
    environment: {
      is_root: false,
      source_type: 'internal',
      parent_hash: 'a'.repeat(64),
      policy_names: [],
      policy_tier: 'function',
      active_deviations: [],
      classification: 'system',
      ...part.environment,
    },
    identity,
    trust_score,
    lineage: {
      depth: 1,
      principals: ['spiffe://example.org/gateway'],
      operations: ['GET /'],
      classifications: ['system'],
      ...part.lineage,
    },
  }
}

export function requestOf(policies: string | readonly string[], part?: Part<PolicyContext>): PolicyRequest {
  const names = [policies].flat()
  const environment = { ...part?.environment, policy_names: names }
  return { entryId: 'entry', policies: names, context: contextOf({ ...part, environment }) }
}
