import { isUtf8 } from 'node:buffer'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { assertOptions, isRecord } from '../assert-options.js'
import { countMembers, countParsedMembers } from '../entry/json-members.js'
import { KestConfigError } from '../errors.js'
import { readRegularFile } from '../regular-file.js'
import { MIN_KEY_BYTES, namesNobody } from './ask-keys.js'
import { isKid } from './pseudonym.js'
import type { PseudonymKey, PseudonymKeys, PseudonymSubject } from './pseudonym-keys.js'

const MAX_BYTES = 4 * 1024 * 1024
/** Three levels: tenants, a tenant's, its keys. */
const NESTING = 4
const BASE64URL = /^[A-Za-z0-9_-]+$/

/** Keys of one owner. */
interface KeyRing {
  readonly current: PseudonymKey
  readonly keys: ReadonlyMap<string, PseudonymKey>
}

/** One ring for all, or one for each tenant. */
type Rings = { readonly all: KeyRing } | { readonly tenants: ReadonlyMap<string, KeyRing> }

/**
 * Keys for pseudonyms in a JSON file, such as a mounted secret: one ring for all,
 *
 * ```json
 * { "current": "2030a", "keys": { "2030a": "<32 bytes or more, base64url>", "2029b": "…" } }
 * ```
 *
 * or one for each tenant, `{ "tenants": { "acme": { "current": …, "keys": … } } }`, and none for whom it does not name. To
 * rotate, add a key and name it `current`; to destroy a key, take it out, with every copy of it.
 *
 * The file is looked at again when it was last read more than `maxAgeMs` ago. While it cannot be read, or is malformed, there are no
 * keys: requests that need one are answered 503. So replace it whole, by renaming.
 */
export class PseudonymKeyFile implements PseudonymKeys {
  readonly #path: string
  readonly #maxAgeMs: number
  #rings: Rings | undefined
  /** By the monotonic clock: what was read gets no younger when the other is set back. */
  #readAt = Number.NEGATIVE_INFINITY
  #reading: Promise<Rings> | undefined

  private constructor(path: string, maxAgeMs: number) {
    this.#path = path
    this.#maxAgeMs = maxAgeMs
  }

  /**
   * Reads the file.
   *
   * @param options.maxAgeMs for how long it is not looked at again: also how long a key that was taken out may still serve. Default 1000
   * @throws {KestConfigError} for a file that cannot be read or is malformed, saying where, and nothing of the keys
   *
   * @example
   * ```ts
   * const pseudonyms = await PseudonymKeyFile.open('/run/secrets/pseudonyms.json')
   * ```
   */
  static async open(
    path: string | URL,
    options: { readonly maxAgeMs?: number } = {},
  ): Promise<PseudonymKeyFile> {
    assertOptions('PseudonymKeyFile.open', options, ['maxAgeMs'])
    const { maxAgeMs = 1_000 } = options
    if (!Number.isSafeInteger(maxAgeMs) || maxAgeMs < 0)
      throw new KestConfigError('PseudonymKeyFile.open: maxAgeMs: expected an integer of at least 0')
    // Once: the process may change its folder, and must not read another file then.
    const source = new PseudonymKeyFile(path instanceof URL ? fileURLToPath(path) : resolve(path), maxAgeMs)
    await source.#read()
    return source
  }

  async current({ tenant }: Pick<PseudonymSubject, 'tenant'>): Promise<PseudonymKey | null> {
    return ringOf(await this.#present(), tenant)?.current ?? null
  }

  async find(kid: string, { tenant }: Pick<PseudonymSubject, 'tenant'>): Promise<PseudonymKey | null> {
    return ringOf(await this.#present(), tenant)?.keys.get(kid) ?? null
  }

  /** All that there are: for who looks for somebody's entries. */
  async all({ tenant }: Pick<PseudonymSubject, 'tenant'>): Promise<readonly PseudonymKey[]> {
    return [...(ringOf(await this.#present(), tenant)?.keys.values() ?? [])]
  }

  #present(): Rings | Promise<Rings> {
    const isFresh = this.#rings !== undefined && performance.now() - this.#readAt < this.#maxAgeMs
    return isFresh ? (this.#rings as Rings) : this.#read()
  }

  /** One at a time: each that hangs holds a thread of the process. */
  #read(): Promise<Rings> {
    this.#reading ??= this.#load().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #load(): Promise<Rings> {
    const beganAt = performance.now()
    // What was there is not used beyond a failure: a key may have been taken out.
    this.#rings = undefined
    const bytes = await readRegularFile(this.#path, { maxBytes: MAX_BYTES }).catch((cause: unknown) => {
      throw namesNobody(new KestConfigError(`${this.#path}: cannot be read`, { cause }))
    })
    this.#rings = parse(bytes, this.#path)
    this.#readAt = beganAt
    return this.#rings
  }
}

function ringOf(rings: Rings, tenant: string | null): KeyRing | undefined {
  if ('all' in rings) return rings.all
  return tenant === null ? undefined : rings.tenants.get(tenant)
}

function parse(bytes: Buffer, path: string): Rings {
  const wrong = (why: string): KestConfigError => namesNobody(new KestConfigError(`${path}: ${why}`))
  if (!isUtf8(bytes)) throw wrong('it is not UTF-8')
  const text = bytes.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Its error quotes the text, which is secret.
    throw wrong('it is not JSON')
  }
  const members = countParsedMembers(value, NESTING)
  if (members === undefined || members !== countMembers(text))
    throw wrong('a member occurs twice, or nests too deep')
  if (!isRecord(value)) throw wrong('expected an object')
  if (!Object.hasOwn(value, 'tenants')) return { all: ringIn(value, wrong) }
  const { tenants, ...others } = value
  if (!isRecord(tenants) || Object.keys(others).length > 0)
    throw wrong('expected "tenants" alone, an object, or "current" and "keys"')
  return {
    tenants: new Map(Object.entries(tenants).map(([tenant, ring]) => [tenant, ringIn(ring, wrong)])),
  }
}

function ringIn(value: unknown, wrong: (why: string) => KestConfigError): KeyRing {
  const { current, keys: given, ...others } = isRecord(value) ? value : { current: null }
  if (typeof current !== 'string' || !isRecord(given) || Object.keys(others).length > 0)
    throw wrong('expected "current", the kid of a key, and "keys", an object of keys by kid')
  const keys = new Map<string, PseudonymKey>()
  for (const [kid, key] of Object.entries(given)) keys.set(kid, keyIn(kid, key, wrong))
  const inUse = keys.get(current)
  if (inUse === undefined) throw wrong('"current" names a key that is not among "keys"')
  return { current: inUse, keys }
}

function keyIn(kid: string, text: unknown, wrong: (why: string) => KestConfigError): PseudonymKey {
  if (!isKid(kid)) throw wrong('a kid is 1 to 64 of A-Z a-z 0-9 _ -')
  const key = typeof text === 'string' && BASE64URL.test(text) ? Buffer.from(text, 'base64url') : undefined
  if (key === undefined || key.length < MIN_KEY_BYTES || key.toString('base64url') !== text)
    throw wrong(`expected each key to be at least ${MIN_KEY_BYTES} bytes, in base64url without padding`)
  return Object.freeze({ kid, key })
}
