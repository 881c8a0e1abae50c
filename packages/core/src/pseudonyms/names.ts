import type { IdentityContext } from '../passport/verified.js'

/**
 * Whom the pseudonyms of a request stand for, where it begins: for its policies and its application. Shown by no `inspect` and in
 * no JSON, and handed on to nobody.
 */
export class Names {
  static readonly NONE: Names = new Names(new Map(), null)

  readonly #clear: ReadonlyMap<string, string>
  readonly #tenant: string | null

  private constructor(clear: ReadonlyMap<string, string>, tenant: string | null) {
    this.#clear = clear
    this.#tenant = tenant
  }

  static of(clear: Iterable<readonly [pseudonym: string, clear: string]>, tenant: string | null): Names {
    return new Names(new Map(clear), tenant)
  }

  /** Of which tenant the token of the request is. */
  tenant(): string | null {
    return this.#tenant
  }

  /** With those of `other`; of the same tenant. */
  with(other: Names): Names {
    return other.#clear.size === 0
      ? this
      : new Names(new Map([...this.#clear, ...other.#clear]), this.#tenant)
  }

  /** The clear name; what is no pseudonym, or whose is not known here, as it is. */
  clear(name: string | null): string | null {
    return name === null ? null : (this.#clear.get(name) ?? name)
  }

  /** The same identity, in clear. */
  reveal(identity: IdentityContext): IdentityContext {
    if (this.#clear.size === 0) return identity
    return Object.freeze({
      user: this.clear(identity.user),
      agent: this.clear(identity.agent),
      task: this.clear(identity.task),
    })
  }

  /** Whether a text has one of the clear names in it, also as in a URL or in JSON: it must not be told on, then. */
  areIn(text: string): boolean {
    if (this.#clear.size === 0) return false
    const told = spellingsOf(text)
    return [...this.#clear.values()].some((name) => told.some((spelling) => spelling.includes(plain(name))))
  }
}

/** What is quoted twice, as JSON within a string of JSON, is undone twice. */
const ROUNDS = 2
const ESCAPED = /\\(?:u([0-9a-f]{4})|(["'\\/]))/gi
const PERCENT = /(?:%[0-9a-f]{2})+/gi

function spellingsOf(text: string): readonly string[] {
  const spellings = [
    text,
    text.replace(PERCENT, decoded),
    text.replaceAll('+', ' ').replace(PERCENT, decoded),
  ]
  let undone = text
  for (let round = 0; round < ROUNDS; round++) {
    undone = undone.replace(ESCAPED, (_, code?: string, character?: string) =>
      code === undefined ? (character as string) : String.fromCharCode(Number.parseInt(code, 16)),
    )
    spellings.push(undone)
  }
  return spellings.map(plain)
}

/** Without case, and in one form of Unicode. */
function plain(text: string): string {
  return text.normalize('NFC').toLowerCase()
}

function decoded(bytes: string): string {
  return Buffer.from(bytes.replaceAll('%', ''), 'hex').toString('utf8')
}
