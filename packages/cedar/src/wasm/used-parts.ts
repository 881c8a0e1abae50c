import type { Used } from '../cedar-value.js'
import type { EntityUid } from '../entity-types.js'
import type { PolicyJson } from './cedar.js'

type Tree = Map<string, Tree | true>

/** What policies look at: parts of the context, and entities that they name. */
export interface UsedParts {
  readonly context: Used
  readonly entities: readonly EntityUid[]
}

/**
 * Finds what policies look at. What they do not look at cannot change what they decide, and so need not be handed over;
 * and that is most of the work. Where it is unclear, more is taken rather than less.
 */
export function usedParts(policies: readonly PolicyJson[]): UsedParts {
  const finder = new Finder()
  for (const policy of policies) finder.visit(policy)
  return { context: finder.context, entities: finder.entities }
}

class Finder {
  readonly entities: EntityUid[] = []
  readonly #tree: Tree = new Map()
  #whole = false

  get context(): Used {
    return this.#whole ? true : this.#tree
  }

  visit(node: unknown): void {
    if (typeof node !== 'object' || node === null) return
    const path = pathOf(node)
    if (path !== undefined) {
      this.#use(path)
      return
    }
    if (isUid(node)) this.entities.push({ type: node.type, id: node.id })
    for (const child of Object.values(node)) this.visit(child)
  }

  /** Marks all that lies at the end of a path. */
  #use(path: readonly string[]): void {
    if (path.length === 0) this.#whole = true
    let tree = this.#tree
    for (const [index, name] of path.entries()) {
      const next = tree.get(name)
      if (next === true) return
      if (index === path.length - 1) tree.set(name, true)
      else if (next === undefined) tree.set(name, new Map())
      const below = tree.get(name)
      if (below instanceof Map) tree = below
    }
  }
}

/** Members that lead from the context to what an expression means; `undefined` when it means something else. */
function pathOf(node: object): readonly string[] | undefined {
  if ('Var' in node) return node.Var === 'context' ? [] : undefined
  const access = ('.' in node ? node['.'] : 'has' in node ? node.has : undefined) as
    | { readonly left: object; readonly attr: string | readonly string[] }
    | undefined
  if (typeof access?.left !== 'object') return undefined
  const base = pathOf(access.left)
  return base === undefined ? undefined : [...base, ...[access.attr].flat()]
}

function isUid(node: object): node is EntityUid {
  const { type, id } = node as Partial<EntityUid>
  return typeof type === 'string' && typeof id === 'string'
}
