import { sha256Hex } from '../entry/hash.js'
import type { LineageSummary } from '../passport/lineage.js'
import type { PolicyContext, PolicyRequest } from './engine.js'

/** Parts of the context that a decision may be made without. `trust_score` is meant in both its places. */
export type IgnorableField =
  | `subject.${'user' | 'agent' | 'task' | 'taints' | 'identity_by'}`
  | `object.${'id' | 'attributes'}`
  | `environment.${'is_root' | 'source_type' | 'parent_hash' | 'active_deviations' | 'classification'}`
  | 'trust_score'
  | 'lineage'

/** Whose texts are known; beyond that they get new names. */
const MAX_LINEAGES = 16_384

type Part = (context: PolicyContext) => string

/** What of a context goes into the key whatever is ignored: who asks whom. */
const ALWAYS: readonly Part[] = [
  ({ subject, identity }) =>
    identity === subject.workload ? text(identity) : `${text(identity)}!${text(subject.workload)}`,
  ({ environment }) => text(environment.policy_tier),
  ({ environment }) => list(environment.policy_names),
]

const PARTS: Readonly<Record<Exclude<IgnorableField, 'lineage'>, Part>> = {
  'subject.user': ({ subject }) => text(subject.user),
  'subject.agent': ({ subject }) => text(subject.agent),
  'subject.task': ({ subject }) => text(subject.task),
  'subject.taints': ({ subject }) => list(subject.taints),
  'subject.identity_by': ({ subject }) => text(subject.identity_by),
  'object.id': ({ object }) => text(object.id),
  'object.attributes': ({ object: { attributes } }) =>
    Object.keys(attributes).length === 0 ? '0' : text(JSON.stringify(attributes)),
  'environment.is_root': ({ environment }) => (environment.is_root ? 'r' : 'c'),
  'environment.source_type': ({ environment }) => text(environment.source_type),
  'environment.parent_hash': ({ environment }) => text(environment.parent_hash),
  'environment.active_deviations': ({ environment: { active_deviations: all } }) =>
    all.length === 0 ? '0' : text(JSON.stringify(all)),
  'environment.classification': ({ environment }) => text(environment.classification),
  trust_score: ({ trust_score, subject }) =>
    trust_score === subject.trust_score ? `${trust_score};` : `${trust_score}!${subject.trust_score};`,
}

export const IGNORABLE_FIELDS: readonly IgnorableField[] = Object.freeze([
  ...(Object.keys(PARTS) as (keyof typeof PARTS)[]),
  'lineage',
])

/**
 * Makes the function that names a question: two have the same name if, and only if, they are the same but for what is
 * ignored. Each text carries its length, so that no choice of texts looks like another.
 */
export function decisionKeys(ignored: ReadonlySet<IgnorableField>): (request: PolicyRequest) => string {
  const parts: Part[] = [...ALWAYS]
  for (const [field, part] of Object.entries(PARTS)) {
    if (!ignored.has(field as IgnorableField)) parts.push(part)
  }
  if (!ignored.has('lineage')) {
    const nameOf = lineageNames()
    parts.push(({ lineage }) => nameOf(lineage))
  }
  return ({ policies, context }) => {
    let key = policies === context.environment.policy_names ? '' : list(policies)
    for (const part of parts) key += part(context)
    return key
  }
}

/**
 * What the engine may see of a context, so that no decision depends on what its key leaves out.
 *
 * @param made parts that were made already: what questions share they share afterwards
 */
export function withhold(
  context: PolicyContext,
  ignored: ReadonlySet<IgnorableField>,
  made: Map<object, object> = new Map(),
): PolicyContext {
  if (ignored.size === 0) return context
  const shown = <T extends object>(group: T, prefix: string): T => {
    const known = made.get(group)
    if (known !== undefined) return known as T
    const part = Object.freeze(
      Object.fromEntries(
        Object.entries(group).filter(
          ([name]) => !ignored.has((name === 'trust_score' ? name : prefix + name) as IgnorableField),
        ),
      ),
    ) as T
    made.set(group, part)
    return part
  }
  const { subject, object, environment } = context
  return shown(
    {
      ...context,
      subject: shown(subject, 'subject.'),
      object: shown(object, 'object.'),
      environment: shown(environment, 'environment.'),
    },
    '',
  )
}

/** Short names of lineages by what they say. Lists are long, and each object comes with every decision of its request. */
function lineageNames(): (lineage: LineageSummary) => string {
  const known = new WeakMap<LineageSummary, string>()
  const names = new Map<string, string>()
  let next = 0
  return (lineage) => {
    let name = known.get(lineage)
    if (name !== undefined) return name
    // Of a fixed length, however long the lists are that others wrote.
    const said = sha256Hex(
      list(lineage.principals) + list(lineage.operations) + list(lineage.classifications),
    )
    name = names.get(said)
    if (name === undefined) {
      // No name is given twice, so forgetting them all costs hits and nothing else.
      if (names.size >= MAX_LINEAGES) names.clear()
      name = `#${next++}`
      names.set(said, name)
    }
    known.set(lineage, name)
    return name
  }
}

function text(value: string | null): string {
  return value === null ? '-' : `${value.length}:${value}`
}

function list(values: readonly string[]): string {
  let all = `${values.length};`
  for (const value of values) all += text(value)
  return all
}
