import { types } from 'node:util'
import { KestError } from '../errors.js'
import { shown } from '../shown.js'
import { MAX_INBOUND_LENGTH, MEMBER } from './baggage-names.js'
import { type KestMember, type SplitBaggage, splitMembers } from './members.js'

/** The `baggage` header as frameworks hand it over: absent, one line, or several. */
export type BaggageLines = string | readonly string[] | undefined

/** A baggage header, taken apart. */
export interface ParsedBaggage {
  /** Key (`kest.passport`, …) → decoded value. Never `kest.jwt` (K-JWT). */
  readonly kest: ReadonlyMap<string, string>
  /** The members of others, exactly as written with their properties, in their order. */
  readonly foreign: readonly string[]
}

/** A member to be written: key, and percent-encoded value. */
export type EncodedMember = readonly [key: string, encodedValue: string]

/**
 * Reads a W3C `baggage` header, all of its lines together (K-ONE).
 *
 * Strict about our members, and only about them: those of others are handed on as they are, malformed or not. A
 * `kest.*` value may be percent-encoded or, when it starts with `[`, written without encoding (K-RAW).
 *
 * Does *not* check what the values mean: that is {@link decodeMembers}. `kest.jwt` is taken out and never read.
 *
 * @param lines the header's value or values; `undefined` when there is none
 * @param options.maxLength characters of all lines together; default 16,384. Checked before any work.
 * @throws {KestError} `ERR_KEST_BAGGAGE` for a `kest.*` member that is malformed, spelled otherwise (other case,
 *   percent-encoded key, white space), has properties, or occurs with two different values; `ERR_KEST_LIMIT` when
 *   the header is too long.
 *
 * @example
 * ```ts
 * const { kest, foreign } = parseBaggage(request.headers.baggage)
 * kest.get('kest.chain_tip')
 * ```
 */
export function parseBaggage(
  lines: BaggageLines,
  options: { readonly maxLength?: number } = {},
): ParsedBaggage {
  assertLines(lines, options.maxLength)
  const { foreign, kest } = splitBaggage(lines)
  return { kest: readMembers(kest), foreign }
}

/** All lines together, split into members and not judged. Never throws: bytes are read, and what is no text is nothing. */
export function splitBaggage(lines: BaggageLines): SplitBaggage {
  if (typeof lines === 'string') return splitMembers(lines)
  const list: readonly unknown[] = Array.isArray(lines) ? lines : [lines]
  return splitMembers(list.map(textOf).join(','))
}

function textOf(line: unknown): string {
  if (types.isUint8Array(line)) return Buffer.from(line).toString()
  return typeof line === 'string' ? line : ''
}

/**
 * That a header is text, as `node:http` gives it: what comes otherwise would be taken for none.
 * @throws {KestError} `ERR_KEST_BAGGAGE`
 */
export function assertText(lines: BaggageLines): void {
  if (lines === undefined) return
  const list: readonly unknown[] = Array.isArray(lines) ? lines : [lines]
  for (const line of list) {
    if (typeof line !== 'string')
      throw new KestError('ERR_KEST_BAGGAGE', `baggage: expected text, got ${typeof line}`)
  }
}

/**
 * @param maxLength characters of all lines together
 * @throws {KestError} `ERR_KEST_BAGGAGE` for what is not text, `ERR_KEST_LIMIT`
 */
export function assertLines(lines: BaggageLines, maxLength: number = MAX_INBOUND_LENGTH): void {
  assertText(lines)
  if (lines === undefined) return
  const list = typeof lines === 'string' ? [lines] : lines
  const length = list.reduce((sum, line) => sum + line.length + 1, -1)
  if (length > maxLength) {
    throw new KestError('ERR_KEST_LIMIT', `baggage: ${length} characters, at most ${maxLength} are read`)
  }
}

/**
 * Key → decoded value, without `kest.jwt`, which is never read (K-JWT).
 * @throws {KestError} `ERR_KEST_BAGGAGE`
 */
export function readMembers(members: readonly KestMember[]): ReadonlyMap<string, string> {
  const kest = new Map<string, string>()
  for (const member of members) {
    if (member.fault !== null)
      throw new KestError('ERR_KEST_BAGGAGE', `baggage: ${shown(member.key, 64)}: ${member.fault}`)
    if (member.key === MEMBER.jwt) continue
    const value = decodeValue(member)
    const earlier = kest.get(member.key)
    if (earlier !== undefined && earlier !== value) {
      throw new KestError(
        'ERR_KEST_BAGGAGE',
        `baggage: ${shown(member.key, 64)} occurs with two different values (K-ONE)`,
      )
    }
    kest.set(member.key, value)
  }
  return kest
}

/**
 * Takes every member of ours, however spelled and however malformed, out of a `baggage` header (K-EDGE). Reads none
 * of their values, and never throws.
 *
 * @returns the members of others as written, and how many of ours there were
 */
export function stripKest(lines: BaggageLines): {
  readonly foreign: readonly string[]
  readonly removed: number
} {
  const { foreign, kest } = splitBaggage(lines)
  return { foreign, removed: kest.length }
}

/**
 * Writes a `baggage` header. Ours come first: readers that cut a header cut its end, and a cut passport would stop
 * the request, whereas the members of others are as long as their writer made them.
 *
 * @param foreign members of others, as {@link parseBaggage} and {@link stripKest} hand them out
 * @param members ours, values already percent-encoded
 * @returns the header's value; `undefined` when there is nothing to write
 */
export function formatBaggage(
  foreign: readonly string[],
  members: readonly EncodedMember[],
): string | undefined {
  if (foreign.length === 0 && members.length === 0) return undefined
  return [...members.map(([key, value]) => `${key}=${value}`), ...foreign].join(',')
}

/**
 * Percent-encodes a member's value.
 * @throws {KestError} `ERR_KEST_NOT_JSON` for a lone surrogate, which has no UTF-8.
 */
export function encodeValue(value: string): string {
  try {
    return encodeURIComponent(value)
  } catch (cause) {
    throw new KestError('ERR_KEST_NOT_JSON', 'baggage: a value with a lone surrogate cannot be encoded', {
      cause,
    })
  }
}

function decodeValue({ key, value }: KestMember): string {
  // Mostly a compressed passport, of thousands of characters.
  if (!value.includes('%')) return value
  try {
    return decodeURIComponent(value)
  } catch (cause) {
    throw new KestError(
      'ERR_KEST_BAGGAGE',
      `baggage: ${shown(key, 64)}: a bad percent escape, or not UTF-8`,
      {
        cause,
      },
    )
  }
}
