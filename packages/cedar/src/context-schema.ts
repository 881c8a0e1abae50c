import { KestConfigError } from '@kest/core'
import { CONTEXT_MEMBERS } from './flat-context.js'

/**
 * Kest's flat context as a type of a Cedar schema, called `KestContext`: put it before the schema of your actions.
 *
 * @param attributes Cedar's type of a resource's attributes. Default: none.
 * @param optional members that need not be there, because a cache of decisions withholds them. Policies must ask for these
 *   with `has`.
 * @throws {KestConfigError} for an optional member that the context does not have
 *
 * @example
 * ```ts
 * const schema = [
 *   contextSchema('{ owner: String, "public"?: Bool }'),
 *   'entity Workload; entity Resource;',
 *   'action "orders/read" appliesTo { principal: Workload, resource: Resource, context: KestContext };',
 * ]
 * const engine = await CedarWasmEngine.load({ policies, schema })
 * ```
 */
export function contextSchema(attributes = '{}', optional: readonly string[] = []): string {
  const unknown = optional.find((name) => !CONTEXT_MEMBERS.includes(name))
  if (unknown !== undefined)
    throw new KestConfigError(`contextSchema: the context has no member "${unknown}"`)
  const schema = `type KestContext = {
  workload: String,
  user?: String,
  agent?: String,
  task?: String,
  identity_by?: String,
  taints: Set<String>,
  object_id: String,
  attributes: ${attributes},
  is_root: Bool,
  source_type: String,
  parent_hash: String,
  policy_names: Set<String>,
  policy_tier: String,
  active_deviations: Set<{ policy: String, tier: String, reason: String, approver: String }>,
  classification: String,
  identity: String,
  trust_score: Long,
  lineage: { depth: Long, principals: Set<String>, operations: Set<String>, classifications: Set<String> },
};
`
  return optional.reduce((text, name) => text.replace(`\n  ${name}: `, `\n  ${name}?: `), schema)
}
