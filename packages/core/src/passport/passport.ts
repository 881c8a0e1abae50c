import { isUtf8 } from 'node:buffer'
import { types } from 'node:util'
import { assertOptions } from '../assert-options.js'
import { type KestError, PassportVerificationError } from '../errors.js'
import { type Limits, resolveLimits } from '../limits.js'

/**
 * The wire form of a lineage: JWS compact strings, parents before children. It proves nothing: anyone can write one.
 * {@link verifyPassport} turns it into what can be relied on.
 */
export class Passport {
  /** Frozen. */
  readonly entries: readonly string[]

  /**
   * @throws {PassportVerificationError} `ERR_KEST_PASSPORT_MALFORMED` for anything but a list of strings
   */
  constructor(entries: readonly string[]) {
    this.entries = snapshot(entries)
    Object.freeze(this)
  }

  get length(): number {
    return this.entries.length
  }

  /** What `JSON.stringify` writes of it: the array, nothing around it (NF-INTER-01). */
  toJSON(): string[] {
    return [...this.entries]
  }

  /** JSON. */
  toString(): string {
    return JSON.stringify(this.entries)
  }
}

/**
 * Reads a passport that a stranger wrote: its JSON, or the array that JSON was. Only the outer form is judged here, and
 * its size; nothing is known about the entries.
 *
 * @param untrusted JSON text, its UTF-8 bytes, an array, or a {@link Passport}, of whatever copy of this package
 * @throws {PassportVerificationError} `ERR_KEST_PASSPORT_MALFORMED`, with the index of the member that is no string;
 *   `ERR_KEST_LIMIT` for too many entries or bytes (K-LIMIT)
 *
 * @example
 * ```ts
 * const passport = parsePassport(await readFile('passport.json'))
 * ```
 */
export function parsePassport(
  untrusted: unknown,
  options: { readonly limits?: Partial<Limits> } = {},
): Passport {
  assertOptions('parsePassport', options, ['limits'])
  const limits = resolveLimits(options.limits)
  const value =
    typeof untrusted === 'string' || types.isUint8Array(untrusted)
      ? parseJson(untrusted, limits)
      : listOf(untrusted)
  if (!Array.isArray(value)) throw malformed(`expected an array of strings, got ${kindOf(value)}`)
  if (value.length > limits.entries) throw tooMany(value.length, limits.entries)
  const passport = new Passport(value)
  assertPassportSize(passport, limits)
  return passport
}

/** Nothing that JSON made has a method. */
function listOf(untrusted: unknown): unknown {
  const passport = untrusted as Partial<Passport> | null | undefined
  return typeof passport?.toJSON === 'function' ? passport.toJSON() : untrusted
}

/** @throws {PassportVerificationError} `ERR_KEST_LIMIT` */
export function assertPassportSize(passport: Passport, limits: Limits): void {
  if (passport.length > limits.entries) throw tooMany(passport.length, limits.entries)
  let bytes = passport.length === 0 ? 2 : 1
  for (const [index, { length }] of passport.entries.entries()) {
    if (length > limits.entryBytes) throw tooLarge(`entry ${index}: ${length}`, limits.entryBytes, index)
    bytes += length + 3
  }
  if (bytes > limits.passportBytes) throw tooLarge(`passport: ${bytes}`, limits.passportBytes, null)
}

function parseJson(input: string | Uint8Array, { passportBytes, entries }: Limits): unknown {
  if (input.length > passportBytes) throw tooLarge(`passport: ${input.length}`, passportBytes, null)
  if (typeof input !== 'string' && !isUtf8(input)) throw malformed('not UTF-8')
  const text = typeof input === 'string' ? input : new TextDecoder('utf-8', { ignoreBOM: true }).decode(input)
  // An array of compact strings has one bracket and no brace: whatever else there is is not worth being built.
  if (text.includes('{') || text.indexOf('[', text.indexOf('[') + 1) !== -1)
    throw malformed('not an array of strings')
  if (hasMoreMembers(text, entries)) throw tooMany(`more than ${entries}`, entries)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw malformed('not JSON', cause)
  }
}

/** A compact string has no comma. Of members that nobody will look at, a megabyte takes long to read. */
function hasMoreMembers(text: string, most: number): boolean {
  let at = -1
  for (let commas = 0; commas < most; commas++) {
    at = text.indexOf(',', at + 1)
    if (at === -1) return false
  }
  return true
}

/** Each member is read once: what was checked is what is kept. */
function snapshot(entries: readonly string[]): readonly string[] {
  if (!Array.isArray(entries)) throw malformed(`expected an array of strings, got ${kindOf(entries)}`)
  const strings: string[] = []
  const { length } = entries
  for (let index = 0; index < length; index++) {
    const entry: unknown = entries[index]
    if (typeof entry !== 'string') {
      throw new PassportVerificationError(
        'ERR_KEST_PASSPORT_MALFORMED',
        `entry ${index}: expected a string, got ${kindOf(entry)}`,
        { index },
      )
    }
    strings.push(entry)
  }
  return Object.freeze(strings)
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value
}

function malformed(why: string, cause?: unknown): KestError {
  const details = cause === undefined ? {} : { cause }
  return new PassportVerificationError('ERR_KEST_PASSPORT_MALFORMED', `passport: ${why}`, details)
}

function tooMany(count: number | string, most: number): KestError {
  return new PassportVerificationError(
    'ERR_KEST_LIMIT',
    `passport: ${count} entries; at most ${most} are read`,
  )
}

function tooLarge(what: string, most: number, index: number | null): KestError {
  return new PassportVerificationError('ERR_KEST_LIMIT', `${what} bytes; at most ${most} are read`, { index })
}
