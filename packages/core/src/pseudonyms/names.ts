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

  /** Whether a text has one of the clear names in it, also as in a URL: it must not be told on, then. */
  areIn(text: string): boolean {
    const told = text.toLowerCase()
    for (const name of this.#clear.values()) {
      const low = name.toLowerCase()
      if (told.includes(low) || told.includes(encodeURIComponent(low).toLowerCase())) return true
    }
    return false
  }
}
