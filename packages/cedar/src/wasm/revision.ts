import { canonicalize, KestError, sha256Hex } from '@kest/core'
import type { EntityTypes } from '../entity-types.js'
import type { EntityJson } from './cedar.js'
import type { PolicySet } from './policy-set.js'

/** All that decides, whatever it is asked. */
export interface RuleTexts {
  /** By their ids. */
  readonly policies: PolicySet['texts']
  readonly schema: string | null
  readonly entities: readonly EntityJson[]
  readonly entityTypes: Required<EntityTypes>
}

/**
 * Which text decides (K-REVISION): `cedar:sha256:` and the SHA-256 of the RFC 8785 text of policies, schema, entities and their types.
 * Whoever has the same ones computes the same, in whatever order entities are listed.
 *
 * @returns `undefined` where there is half of a surrogate pair in them, which no text of RFC 8785 has
 */
export function revisionOf({ policies, schema, entities, entityTypes }: RuleTexts): string | undefined {
  try {
    const listed = entities.map((entity) => canonicalize(entity)).sort()
    const text = canonicalize({ policies, schema, entities: listed, entity_types: entityTypes })
    return `cedar:sha256:${sha256Hex(text)}`
  } catch (error) {
    if (error instanceof KestError && error.code === 'ERR_KEST_NOT_JSON') return undefined
    throw error
  }
}
