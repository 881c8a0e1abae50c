import { randomBytes } from 'node:crypto'
import { assertOptions } from '../assert-options.js'
import { KestConfigError, KestError } from '../errors.js'
import { namesNobody } from './ask-keys.js'
import type { PseudonymKey, PseudonymKeys, PseudonymSubject } from './pseudonym-keys.js'

/** Whose key: as much of a {@link PseudonymSubject} as keys are told apart by. */
export type KeyOwner = Pick<PseudonymSubject, 'tenant'> & Partial<PseudonymSubject>

const DEFAULT_MAX = 100_000
const KEY_BYTES = 32
const OWNER: readonly (keyof PseudonymSubject)[] = ['part', 'issuer', 'tenant', 'name']
/** As long as it takes for two never to be drawn alike. */
const KID_BYTES = 9

/** The latest is the one in use. */
type Keys = PseudonymKey[]

/**
 * Keys for pseudonyms in this process alone: each is drawn when its owner is first named, and all are gone with the process. For
 * tests, and for what lasts no longer than that. With `per: 'user'` the owner is `{ issuer, tenant, name }`, as user or as agent;
 * with `per: 'tenant'` it is `{ tenant }`.
 *
 * @example
 * ```ts
 * const pseudonyms = new MemoryPseudonymKeys({ per: 'user' })
 * createKest({ identity, engine, subject: { pseudonyms } })
 * pseudonyms.destroy({ issuer: 'https://id.example.org', tenant: null, name: 'alice' }) // erased
 * ```
 */
export class MemoryPseudonymKeys implements PseudonymKeys {
  readonly #per: 'tenant' | 'user'
  readonly #max: number
  readonly #owners = new Map<string, Keys>()

  /**
   * @param options.per whose key it is; default `tenant`
   * @param options.max owners at a time; default 100,000. What is beyond is refused: no key is forgotten to make room
   * @throws {KestConfigError} for an option that is unknown or wrong
   */
  constructor(options: { readonly per?: 'tenant' | 'user'; readonly max?: number } = {}) {
    assertOptions('MemoryPseudonymKeys', options, ['per', 'max'])
    const { per = 'tenant', max = DEFAULT_MAX } = options
    if (per !== 'tenant' && per !== 'user')
      throw new KestConfigError('MemoryPseudonymKeys: per: expected one of tenant, user')
    if (!Number.isSafeInteger(max) || max < 1)
      throw new KestConfigError(`MemoryPseudonymKeys: max: expected a positive integer, got ${String(max)}`)
    this.#per = per
    this.#max = max
  }

  /** @throws {KestError} `ERR_KEST_KEYS_UNAVAILABLE` when there are too many owners; `ERR_KEST_CONFIG` for no owner, as all methods */
  current(owner: KeyOwner): PseudonymKey {
    const keys = this.#owners.get(this.#nameOf(owner))
    return keys?.at(-1) ?? this.rotate(owner)
  }

  find(kid: string, owner: KeyOwner): PseudonymKey | null {
    return this.#owners.get(this.#nameOf(owner))?.find((key) => key.kid === kid) ?? null
  }

  /** All that there are, the one in use last: for who looks for somebody's entries. */
  all(owner: KeyOwner): readonly PseudonymKey[] {
    return [...(this.#owners.get(this.#nameOf(owner)) ?? [])]
  }

  /**
   * Draws another key. Whom the former have named is still found by them.
   * @throws {KestError} as {@link current}
   */
  rotate(owner: KeyOwner): PseudonymKey {
    const name = this.#nameOf(owner)
    const keys = this.#owners.get(name) ?? []
    if (keys.length === 0 && this.#owners.size >= this.#max)
      throw namesNobody(
        new KestError('ERR_KEST_KEYS_UNAVAILABLE', `there are keys of ${this.#max} owners already`),
      )
    const key = { kid: randomBytes(KID_BYTES).toString('base64url'), key: randomBytes(KEY_BYTES) }
    keys.push(key)
    this.#owners.set(name, keys)
    return key
  }

  /**
   * Destroys keys: nobody can say any more whom they have named. Whoever comes again is somebody else.
   *
   * @param kid default: all keys of the owner
   * @returns how many there were
   */
  destroy(owner: KeyOwner, kid?: string): number {
    const name = this.#nameOf(owner)
    const keys = this.#owners.get(name) ?? []
    const kept = kid === undefined ? [] : keys.filter((key) => key.kid !== kid)
    if (kept.length === 0) this.#owners.delete(name)
    else this.#owners.set(name, kept)
    return keys.length - kept.length
  }

  /** What is misspelled, or left out, would be the keys of nobody: then nothing would be destroyed. */
  #nameOf(owner: KeyOwner): string {
    assertOptions('MemoryPseudonymKeys: owner', owner, OWNER)
    const { issuer, tenant, name } = owner
    const told = this.#per === 'tenant' ? [tenant] : [issuer, tenant, name]
    if (told.includes(undefined))
      throw new KestConfigError(
        `MemoryPseudonymKeys: expected an owner { ${this.#per === 'tenant' ? 'tenant' : 'issuer, tenant, name'} }`,
      )
    return JSON.stringify(told)
  }
}
