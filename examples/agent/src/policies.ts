import type { PolicyFunction } from '@kest/core'

/** Which tools a task of a user's may lead to, whatever a model makes of it. */
const TOOLS: Readonly<Record<string, readonly string[]>> = {
  'buy-books': ['mcp:tools/call:search', 'mcp:tools/call:place'],
  'return-books': ['mcp:tools/call:search', 'mcp:tools/call:refund'],
}

/** What every workload asks. In production this is Rego or Cedar, and these functions are its tests' first draft. */
export const POLICIES: Readonly<Record<string, PolicyFunction>> = {
  'agent/run': ({ subject }) => subject.user !== null,
  'agent/decide': () => true,
  /** What comes back from tools is taken from those that an entry was made for, and marked. */
  'agent/results': () => true,
  'tools/task': ({ subject, object }) => {
    const allow = subject.task !== null && TOOLS[subject.task]?.includes(object.id) === true
    return { allow, reason: `task ${subject.task}: ${object.id}` }
  },
  'stock/reserve': ({ lineage }) => lineage.operations.includes('mcp:tools/call:place'),
  'deliveries/take': ({ subject, lineage }) =>
    subject.task === 'buy-books' && lineage.principals.at(-1) === 'spiffe://example.org/orders',
}
