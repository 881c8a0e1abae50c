import { KestConfigError } from '@kest/core'
import { type EntityUid, formatUid } from '../entity-types.js'
import type { EntityJson } from './cedar.js'

interface Stored {
  readonly entity: EntityJson
  /** What it is part of, and what its attributes name. */
  readonly leadsTo: readonly string[]
}

/**
 * Entities by their names. A question gets those that can be reached from it, because Cedar parses what it gets each time:
 * what cannot be reached, no policy can see.
 */
export class EntityStore {
  readonly #stored = new Map<string, Stored>()
  readonly #always: readonly string[]

  /**
   * @param always entities that policies name
   * @throws {KestConfigError} for an entity that occurs twice
   */
  constructor(entities: readonly EntityJson[], always: readonly EntityUid[]) {
    for (const entity of entities) {
      const name = formatUid(uidOf(entity.uid))
      if (this.#stored.has(name)) throw new KestConfigError(`CedarWasmEngine.entities: ${name} occurs twice`)
      this.#stored.set(name, { entity, leadsTo: namesIn([entity.parents, entity.attrs, entity.tags]) })
    }
    this.#always = always.map(formatUid)
  }

  /** Those that can be reached from whatever `roots` name, and from what policies name. */
  reachable(roots: readonly unknown[]): EntityJson[] {
    if (this.#stored.size === 0) return []
    const found = new Map<string, EntityJson>()
    const pending = [...this.#always, ...namesIn(roots)]
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const stored = this.#stored.get(name)
      if (stored === undefined || found.has(name)) continue
      found.set(name, stored.entity)
      pending.push(...stored.leadsTo)
    }
    return [...found.values()]
  }
}

function uidOf(uid: EntityJson['uid']): EntityUid {
  return '__entity' in uid ? uid.__entity : uid
}

/** Whatever looks like the name of an entity, however deep: a schema may take it for one. */
function namesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  const { type, id } = value as Partial<EntityUid>
  const own = typeof type === 'string' && typeof id === 'string' ? [formatUid({ type, id })] : []
  return [...own, ...Object.values(value).flatMap(namesIn)]
}
