import { ATTRIBUTE, SCOPE } from '@kest/core'

/**
 * What a span says under one name. `null`: it says something, of a kind or length that Kest never writes, or two
 * different things.
 */
export type Claim = string | number | boolean | null

/** The attributes of Kest that a span has. Nothing of them is believed. */
export type Claims = { readonly [Name in keyof typeof ATTRIBUTE]?: Claim }

/** A span of Kest as somebody exported it: where an audit starts, and what it believes nothing of. */
export interface ExportedSpan {
  readonly name: string
  /** The span's own; `null` when it has none, or it is not hex of the right length. */
  readonly traceId: string | null
  readonly spanId: string | null
  /** Resource attribute `service.name`. */
  readonly service: string | null
  readonly claims: Claims
  /** When a witness received it, milliseconds since the epoch; `null` when nobody did. */
  readonly receivedAt: number | null
  readonly place: Place
}

/** Where something was read. */
export interface Place {
  readonly file: string
  /** From 1; of a database, the row; `null` for the file as a whole. */
  readonly line: number | null
}

export function placeText({ file, line }: Place): string {
  return line === null ? file : `${file}:${line}`
}

/** Characters of an attribute that is not an entry, a denial, a passport, or a list of parents: nothing we write is longer. */
const MAX_TEXT = 4_096
/** Of a passport (K-LIMIT), and of what is not longer than one. */
const MAX_PASSPORT = 1_048_576
const MAX_SIGNATURE = 65_536

const NAMES: ReadonlyMap<string, keyof Claims> = new Map(
  Object.entries(ATTRIBUTE).map(([member, name]) => [name, member as keyof Claims]),
)

/** Whether it is for the auditor: an entry, a signed denial, a receipt, or a word of the instrumentation scope that writes them. */
export function isOfKest(scope: unknown, claims: Claims): boolean {
  return (
    scope === SCOPE ||
    claims.signature !== undefined ||
    claims.denial !== undefined ||
    claims.receipt !== undefined
  )
}

/** Collects the attributes of one span. */
export class ClaimsReader {
  readonly claims: { -readonly [Name in keyof Claims]: Claims[Name] } = {}

  /** @param value what a reader made of the attribute's value; `null` for kinds that no attribute of ours has */
  add(name: unknown, value: Claim): void {
    const member = typeof name === 'string' ? NAMES.get(name) : undefined
    if (member === undefined) return
    const claim = typeof value === 'string' && value.length > maxLength(member) ? null : value
    // Of a repeated attribute one value would be checked, and another might be shown elsewhere.
    const before = this.claims[member]
    this.claims[member] = before === undefined || before === claim ? claim : null
  }
}

function maxLength(member: keyof Claims): number {
  if (member === 'signature' || member === 'denial' || member === 'receipt') return MAX_SIGNATURE
  return member === 'passport' || member === 'parentHash' ? MAX_PASSPORT : MAX_TEXT
}

const HEX: Readonly<Record<number, RegExp>> = { 32: /^[0-9a-fA-F]{32}$/, 16: /^[0-9a-fA-F]{16}$/ }
/** Of as many bytes. */
const BASE64: Readonly<Record<number, RegExp>> = { 32: /^[A-Za-z0-9+/]{22}==$/, 16: /^[A-Za-z0-9+/]{11}=$/ }

/** An id of OpenTelemetry as hex, lowercase; OTLP/JSON may write either case, and Tempo writes base64. */
export function hexId(value: unknown, length: 16 | 32): string | null {
  if (typeof value !== 'string') return null
  if (HEX[length]?.test(value)) return value.toLowerCase()
  return BASE64[length]?.test(value) ? Buffer.from(value, 'base64').toString('hex') : null
}

/** A name that is shown, bounded. */
export function boundedName(value: unknown): string | null {
  if (typeof value !== 'string') return null
  return value.length > MAX_TEXT ? value.slice(0, MAX_TEXT) : value
}
