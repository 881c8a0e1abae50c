import { KestConfigError } from '@kest/core'
import type { Used } from '../cedar-value.js'
import type { EntityUid } from '../entity-types.js'
import type { Cedar, EntityJson, SchemaJson } from './cedar.js'
import { declaredParts } from './declared-parts.js'
import { describe, refuse } from './diagnostics.js'
import { EntityStore } from './entity-store.js'
import { type PolicySet, parsePolicies } from './policy-set.js'
import { type NamedText, readSources, type Source } from './source.js'
import { usedParts } from './used-parts.js'

/** Where an engine's rules come from. */
export interface RuleSources {
  readonly policies: Source | readonly Source[]
  readonly schema?: Source | readonly Source[]
  readonly entities?: Source | readonly unknown[]
}

/** What an engine decides by: parsed, and held against the schema. */
export interface Rules {
  readonly policies: PolicySet['texts']
  /** The text, which requests and entities must fit as well. */
  readonly schema: string | null
  readonly entities: EntityStore
  /** As they were given. */
  readonly given: readonly EntityJson[]
  /** What of the context a question for an action needs; `undefined` for one that the schema does not declare. */
  contextOf(action: EntityUid): Used | undefined
}

/** @throws {KestConfigError} naming what is not right, with Cedar's diagnostics */
export async function loadRules(cedar: Cedar, sources: RuleSources): Promise<Rules> {
  const policies = parsePolicies(cedar, await readSources('policies', sources.policies))
  const schema =
    sources.schema === undefined ? undefined : parseSchema(cedar, await readSources('schema', sources.schema))
  if (schema !== undefined) validate(cedar, schema, policies)
  const given = await readEntities(sources.entities ?? [])
  const checked = cedar.checkParseEntities({
    entities: given,
    ...(schema === undefined ? {} : { schema: schema.text }),
  })
  if (checked.type === 'failure') refuse('entities', checked.errors)

  const used = usedParts(policies.parsed)
  return {
    policies: policies.texts,
    schema: schema?.text ?? null,
    entities: new EntityStore(given, used.entities),
    given,
    contextOf: schema === undefined ? () => used.context : declaredParts(schema.json),
  }
}

interface Schema {
  readonly text: string
  /** With its names resolved. */
  readonly json: SchemaJson<string>
}

function parseSchema(cedar: Cedar, texts: readonly NamedText[]): Schema {
  const text = texts.map((one) => one.text).join('\n')
  const answer = cedar.schemaToJsonWithResolvedTypes(text)
  if (answer.type === 'failure') refuse(texts.map(({ name }) => name).join(' + '), answer.errors, text)
  return { text, json: answer.json }
}

/** Warnings are refused as well: they are of policies that never hold, and of letters that look like others. */
function validate(cedar: Cedar, { text: schema }: Schema, { texts }: PolicySet): void {
  const answer = cedar.validate({ schema, policies: { staticPolicies: texts } })
  if (answer.type === 'failure') refuse('policies', answer.errors)
  const problems = [...answer.validationErrors, ...answer.validationWarnings].map(
    ({ policyId, error }) => `policy "${policyId}": ${describe(error)}`,
  )
  if (problems.length > 0)
    throw new KestConfigError(`policies do not fit the schema:\n${problems.join('\n')}`)
}

async function readEntities(entities: NonNullable<RuleSources['entities']>): Promise<EntityJson[]> {
  if (Array.isArray(entities)) return entities as EntityJson[]
  const [{ name, text }] = (await readSources('entities', entities as Source)) as [NamedText]
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw new KestConfigError(`${name}: ${(cause as Error).message}`, { cause })
  }
  if (!Array.isArray(parsed)) throw new KestConfigError(`${name}: expected a list of entities`)
  return parsed
}
