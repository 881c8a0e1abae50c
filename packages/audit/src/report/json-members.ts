import { KEST_ERROR_CODES, KestError, type KestErrorCode } from '@kest/core'
import { isObject, type Members } from '../span/members.js'

const HASH = /^[0-9a-f]{64}$/
/** Of a text in a message. */
const MAX_SHOWN = 64

/** Members of an object that a stranger may have written. Each is read once, as what it is to be. */
export class JsonMembers {
  readonly #values: Members
  readonly #what: string

  /**
   * @param what for messages
   * @throws {KestError} `ERR_KEST_EVIDENCE` for what is no object
   */
  constructor(value: unknown, what: string) {
    if (!isObject(value)) throw malformed(`${what}: expected an object`)
    this.#values = value
    this.#what = what
  }

  has(name: string): boolean {
    return this.#of(name) !== undefined
  }

  text(name: string): string {
    const value = this.#of(name)
    if (typeof value !== 'string') throw this.wrong(name, 'a text')
    return value
  }

  textOrNull(name: string): string | null {
    return this.#of(name) === null ? null : this.text(name)
  }

  hash(name: string): string {
    const value = this.text(name)
    if (!HASH.test(value)) throw this.wrong(name, 'a hash')
    return value
  }

  hashes(name: string): readonly string[] {
    const values = this.texts(name)
    if (!values.every((one) => HASH.test(one))) throw this.wrong(name, 'hashes')
    return values
  }

  texts(name: string): readonly string[] {
    const values = this.list(name)
    if (!values.every((one) => typeof one === 'string')) throw this.wrong(name, 'texts')
    return Object.freeze(values.map(String))
  }

  list(name: string): readonly unknown[] {
    const value = this.#of(name)
    if (!Array.isArray(value)) throw this.wrong(name, 'a list')
    return value
  }

  /** @param least of which it is no less; an integer */
  count(name: string, least = 0): number {
    const value = this.#of(name)
    if (!Number.isSafeInteger(value) || (value as number) < least)
      throw this.wrong(name, `an integer of ${least} or more`)
    return value as number
  }

  flag(name: string): boolean {
    const value = this.#of(name)
    if (typeof value !== 'boolean') throw this.wrong(name, 'true or false')
    return value
  }

  oneOf<const T extends string>(name: string, known: readonly T[]): T {
    const value = this.#of(name)
    const found = known.find((one) => one === value)
    if (found === undefined) throw this.wrong(name, 'one of those that are known')
    return found
  }

  errorCode(name: string): KestErrorCode | null {
    return this.#of(name) === null ? null : this.oneOf(name, KEST_ERROR_CODES)
  }

  value(name: string): unknown {
    return this.#of(name)
  }

  wrong(name: string, expected: string): KestError {
    const value = this.#of(name)
    const got = typeof value === 'string' ? JSON.stringify(value.slice(0, MAX_SHOWN)) : typeOf(value)
    return malformed(`${this.#what}: ${name}: expected ${expected}, got ${got}`)
  }

  #of(name: string): unknown {
    return Object.hasOwn(this.#values, name) ? this.#values[name] : undefined
  }
}

export function malformed(message: string, cause?: unknown): KestError {
  return new KestError('ERR_KEST_EVIDENCE', message, cause === undefined ? {} : { cause })
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  return typeof value === 'number' ? String(value) : typeof value
}
