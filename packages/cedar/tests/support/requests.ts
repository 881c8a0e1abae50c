import type { PolicyContext, PolicyRequest } from '@kest/core'

/** What a test says about a question; the rest is as at a root. */
export interface Asked {
  readonly subject?: Partial<PolicyContext['subject']>
  readonly object?: Partial<PolicyContext['object']>
  readonly environment?: Partial<PolicyContext['environment']>
  readonly lineage?: PolicyContext['lineage']
  readonly trust_score?: number
  readonly identity?: string
}

export function contextOf({
  subject,
  object,
  environment,
  lineage,
  trust_score = 40,
  identity = 'spiffe://kest.test/orders',
}: Asked = {}): PolicyContext {
  return {
    subject: {
      workload: identity,
      user: 'alice',
      agent: null,
      task: null,
      trust_score,
      taints: ['pii', 'user_input'],
      identity_by: 'spiffe://kest.test/gateway',
      ...subject,
    },
    object: { id: 'order/7', attributes: {}, ...object },
    environment: {
      is_root: false,
      source_type: 'internal',
      parent_hash: 'ab'.repeat(32),
      policy_names: ['orders/read'],
      policy_tier: 'function',
      active_deviations: [],
      classification: 'system',
      ...environment,
    },
    identity,
    trust_score,
    lineage: lineage ?? {
      depth: 2,
      principals: ['spiffe://kest.test/gateway', 'spiffe://kest.test/billing'],
      operations: ['enter', 'bill'],
      classifications: ['system', 'confidential'],
    },
  }
}

export function requestOf(policies: string | readonly string[], asked?: Asked): PolicyRequest {
  const names = typeof policies === 'string' ? [policies] : policies
  return { entryId: 'entry-1', policies: names, context: contextOf(asked) }
}
