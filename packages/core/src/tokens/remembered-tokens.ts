import { hash } from 'node:crypto'
import type { JWTPayload } from 'jose'
import type { TokenIdentity } from './claims.js'

/** What a token says, once it was verified. */
export interface TokenContent extends TokenIdentity {
  /** Frozen, all the way down: they are one for all requests with the token. */
  readonly claims: JWTPayload
}

/**
 * Tokens that were verified, by their SHA-256: neither a token itself nor one that did not hold is kept. Bounded; those that
 * were not used for the longest time go first.
 */
export class RememberedTokens<Content extends TokenContent> {
  readonly #max: number
  readonly #tokens = new Map<TokenName, { readonly generation: number; readonly content: Content }>()

  constructor(max: number) {
    this.#max = max
  }

  has(name: TokenName): boolean {
    return this.#tokens.has(name)
  }

  /** What a token said that was verified with the keys of `generation`. Whether it is still in force is not asked here. */
  get(name: TokenName, generation: number): Content | undefined {
    const known = this.#tokens.get(name)
    if (known === undefined) return undefined
    this.#tokens.delete(name)
    if (known.generation !== generation) return undefined
    this.#tokens.set(name, known)
    return known.content
  }

  set(name: TokenName, generation: number, content: Content): void {
    this.#tokens.delete(name)
    this.#tokens.set(name, { generation, content })
    if (this.#tokens.size <= this.#max) return
    const [oldest] = this.#tokens.keys()
    this.#tokens.delete(oldest as string)
  }
}

/** The SHA-256 of a token. */
export type TokenName = string

export function nameOfToken(jwt: string): TokenName {
  return hash('sha256', jwt, 'base64')
}
