import type { PolicyContext } from '@kest/core'
import { type CedarValue, toCedar, type Used } from './cedar-value.js'

/**
 * Members of the flat context, and where each comes from (K-FLAT). They are fixed: what a resource brings along stays in
 * `attributes`.
 */
const MEMBERS: Readonly<Record<string, (context: PolicyContext) => unknown>> = {
  workload: ({ subject }) => subject.workload,
  user: ({ subject }) => subject.user,
  agent: ({ subject }) => subject.agent,
  task: ({ subject }) => subject.task,
  identity_by: ({ subject }) => subject.identity_by,
  taints: ({ subject }) => subject.taints,
  object_id: ({ object }) => object.id,
  attributes: ({ object }) => object.attributes,
  is_root: ({ environment }) => environment.is_root,
  source_type: ({ environment }) => environment.source_type,
  parent_hash: ({ environment }) => environment.parent_hash,
  policy_names: ({ environment }) => environment.policy_names,
  policy_tier: ({ environment }) => environment.policy_tier,
  active_deviations: ({ environment }) => environment.active_deviations,
  classification: ({ environment }) => environment.classification,
  identity: ({ identity }) => identity,
  trust_score: (context) => context.trust_score,
  lineage: ({ lineage }) => lineage,
}

/** The names of the flat context's members. */
export const CONTEXT_MEMBERS: readonly string[] = Object.freeze(Object.keys(MEMBERS))

/**
 * What policies see, as one record for Cedar. What is `null`, or was withheld, is not there.
 *
 * @param used what policies look at; the rest is left out, since to parse it would be most of the work
 * @throws {NotCedarError} for attributes that Cedar cannot hold, if they are looked at
 */
export function flatContext(context: PolicyContext, used: Used = true): Record<string, CedarValue> {
  const flat: Record<string, CedarValue> = {}
  for (const name of used === true ? CONTEXT_MEMBERS : used.keys()) {
    const value = Object.hasOwn(MEMBERS, name) ? MEMBERS[name]?.(context) : undefined
    if (value === null || value === undefined) continue
    flat[name] = toCedar(value, name, used === true ? true : (used.get(name) as Used))
  }
  return flat
}
