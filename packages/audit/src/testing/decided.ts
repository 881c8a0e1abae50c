import {
  contextDigest,
  type KestEntry,
  LABEL,
  type PolicyRevision,
  policyContexts,
  type ReplayText,
} from '@kest/core'
import type { EntryClaim } from './make-entry.js'

/** The text that planted policies have decided by; and one that was in force before anybody was there. */
export const TEXT = `test:sha256:${'5'.repeat(64)}`
export const OLD_TEXT = `test:sha256:${'6'.repeat(64)}`

/** Two texts, which are both called by every name, and say the same. */
export const TEXTS: readonly ReplayText[] = [TEXT, `test:sha256:${'7'.repeat(64)}`].map((revision) => ({
  name: revision,
  revision,
  isCalled: ({ scheme }: PolicyRevision) => scheme === 'name',
  replay: ({ policies }) => ({
    allow: !policies.includes('denies'),
    outside: policies.includes('reads the clock') ? ['the clock'] : [],
  }),
}))

/** A root that a policy has allowed, as its labels say. */
export function decided(principal: string, policy: string, revision: string): EntryClaim {
  const entry = { operation: 'GET /orders/:id', classification: 'system', trust_score: 40, parent_ids: ['0'] }
  const context = policyContexts({
    entry: { ...entry, labels: { [LABEL.principal]: principal } } as unknown as KestEntry,
    effective: { trustScore: 40, taints: [], identity: null, identityBy: null },
    lineage: {
      length: 0,
      summary: () => ({ depth: 0, principals: [], operations: [], classifications: [] }),
    },
    names: undefined,
    source: 'user_input',
    plan: { deviations: [] },
  })
  return {
    ...entry,
    labels: {
      [LABEL.source]: 'user_input',
      [LABEL.context]: contextDigest(context('function', [])),
      [LABEL.revisions]: JSON.stringify({ function: [revision] }),
    },
    policy_context: {
      enterprise_policies: [],
      platform_policies: [],
      app_policies: [],
      function_policies: [policy],
      deviations: [],
    },
  }
}
