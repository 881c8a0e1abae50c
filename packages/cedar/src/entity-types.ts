import { assertOptions, KestConfigError, type PolicyContext } from '@kest/core'
import { NotCedarError } from './cedar-value.js'

/** How Kest's three parts of a question are typed in Cedar. Each may have a namespace: `Shop::Workload`. */
export interface EntityTypes {
  /** Of the workload that asks. Default `Workload`. */
  readonly principal?: string
  /** Of what is named by a policy. Default `Action`. */
  readonly action?: string
  /** Of what is acted on. Default `Resource`. */
  readonly resource?: string
}

export interface EntityUid {
  readonly type: string
  readonly id: string
}

const TYPE = /^[_a-zA-Z][_a-zA-Z0-9]*(?:::[_a-zA-Z][_a-zA-Z0-9]*)*$/

/** The entities of a question (SPEC §7): who asks, which policy, about what. */
export class EntityNames {
  readonly types: Required<EntityTypes>

  /** @throws {KestConfigError} for what is no type of Cedar; the type of an action must be called `Action` */
  constructor(where: string, types: EntityTypes = {}) {
    assertOptions(`${where}.entityTypes`, types, ['principal', 'action', 'resource'])
    const { principal = 'Workload', action = 'Action', resource = 'Resource' } = types
    for (const [name, type] of Object.entries({ principal, action, resource })) {
      if (typeof type !== 'string' || !TYPE.test(type)) {
        throw new KestConfigError(`${where}.entityTypes.${name}: "${String(type)}" is no entity type`)
      }
    }
    if (!/(?:^|::)Action$/.test(action)) {
      throw new KestConfigError(`${where}.entityTypes.action: "${action}" does not end with Action`)
    }
    this.types = { principal, action, resource }
  }

  principal({ identity }: PolicyContext): EntityUid {
    return { type: this.types.principal, id: identity }
  }

  action(policy: string): EntityUid {
    return { type: this.types.action, id: policy }
  }

  /** @throws {NotCedarError} when the id was withheld: without it no policy about that resource would hold, and none forbid */
  resource({ object }: PolicyContext): EntityUid {
    if (object.id === undefined) throw new NotCedarError('object.id', 'it was withheld, and is the resource')
    return { type: this.types.resource, id: object.id }
  }
}

/** What `escape_debug` of Rust escapes: what does not print, and a mark that has nothing to stand on. */
const ESCAPED = /^\p{Grapheme_Extend}|["'\\]|(?! )[\p{C}\p{Z}]/gu
const SHORT: ReadonlyMap<string, string> = new Map([
  ['\0', '\\0'],
  ['\t', '\\t'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['"', '\\"'],
  ["'", "\\'"],
  ['\\', '\\\\'],
])

/** As Cedar writes it: `Action::"orders/read"`. An agent refuses every other spelling, such as a bare apostrophe. */
export function formatUid({ type, id }: EntityUid): string {
  return `${type}::"${id.replaceAll(ESCAPED, escaped)}"`
}

function escaped(character: string): string {
  return SHORT.get(character) ?? `\\u{${(character.codePointAt(0) as number).toString(16)}}`
}
