import type { Used } from '../cedar-value.js'
import type { EntityUid } from '../entity-types.js'
import type { SchemaJson } from './cedar.js'

/** A type of a schema, as far as it is looked at here. */
interface Type {
  /** `Record`, another of Cedar's own, or the whole name of a type that the schema declares. */
  readonly type: string
  readonly attributes?: Readonly<Record<string, Type>>
}

/**
 * What of the context a schema declares, for each of its actions: a policy that fits the schema can look at nothing else,
 * and Cedar refuses a request that has more.
 *
 * @param schema with its names resolved
 */
export function declaredParts(schema: SchemaJson<string>): (action: EntityUid) => Used | undefined {
  const declared = new Map<string, Map<string, Used>>()
  for (const [namespace, { actions }] of Object.entries(schema)) {
    const parts = Object.entries(actions).map(([id, { appliesTo }]): [string, Used] => {
      const context = appliesTo?.context as Type | undefined
      return [id, context === undefined ? NOTHING : partsOf(context, schema)]
    })
    declared.set(namespace === '' ? 'Action' : `${namespace}::Action`, new Map(parts))
  }
  return ({ type, id }) => declared.get(type)?.get(id)
}

const NOTHING: Used = new Map()

/** Types are not recursive: Cedar refuses those that are. */
function partsOf({ type, attributes }: Type, schema: SchemaJson<string>): Used {
  if (attributes !== undefined) {
    return new Map(Object.entries(attributes).map(([name, member]) => [name, partsOf(member, schema)]))
  }
  const [, namespace = '', name = ''] = /^(?:(.+)::)?([^:]+)$/.exec(type) ?? []
  const common = Object.hasOwn(schema, namespace) ? schema[namespace]?.commonTypes : undefined
  return common !== undefined && Object.hasOwn(common, name) ? partsOf(common[name] as Type, schema) : true
}
