import type { ASN1Obj } from '@sigstore/core'
import { oidText } from './oid.js'
import { isTrue } from './read-der.js'

/** Context tags of GeneralName and NameConstraints (RFC 5280 §4.2.1.6, §4.2.1.10). */
const URI = 6
const PERMITTED = 0
const EXCLUDED = 1
/** Bits of KeyUsage (RFC 5280 §4.2.1.3). */
const DIGITAL_SIGNATURE = 0
const KEY_CERT_SIGN = 5
const CRL_SIGN = 6

/** RFC 5280 §4.2.1.9. */
export interface BasicConstraints {
  /** `false` when the extension is absent. */
  readonly ca: boolean
  readonly pathLength: number | undefined
}

/** RFC 5280 §4.2.1.3, of which these matter. */
export interface KeyUsage {
  readonly critical: boolean
  readonly digitalSignature: boolean
  readonly keyCertSign: boolean
  readonly cRLSign: boolean
}

/** RFC 5280 §4.2.1.10, of the form that X509-SVID §4.2 knows: URIs. */
export interface NameConstraints {
  readonly permitted: readonly string[]
  readonly excluded: readonly string[]
  /** Whether it constrains names of other forms too. */
  readonly others: boolean
}

export function basicConstraints(value: ASN1Obj | undefined): BasicConstraints {
  if (value === undefined) return { ca: false, pathLength: undefined }
  const parts = members(value)
  const stated = parts[0]?.tag.isBoolean() === true
  const length = parts[stated ? 1 : 0]
  const pathLength = length === undefined ? undefined : Number(length.toInteger())
  if (pathLength !== undefined && pathLength < 0) throw new Error('a negative path length')
  return { ca: stated && isTrue(parts[0]), pathLength }
}

export function keyUsage(value: ASN1Obj | undefined, critical: boolean): KeyUsage | undefined {
  if (value === undefined) return undefined
  const bits = value.toBitString()
  return Object.freeze({
    critical,
    digitalSignature: bits[DIGITAL_SIGNATURE] === 1,
    keyCertSign: bits[KEY_CERT_SIGN] === 1,
    cRLSign: bits[CRL_SIGN] === 1,
  })
}

export function extendedKeyUsage(value: ASN1Obj | undefined): readonly string[] | undefined {
  return value && members(value).map((purpose) => oidText(purpose.value, () => purpose.toOID()))
}

/** The URIs of SubjectAltName. */
export function uris(value: ASN1Obj | undefined): readonly string[] {
  if (value === undefined) return []
  return members(value)
    .filter(({ tag }) => tag.isContextSpecific(URI))
    .map(ascii)
}

export function nameConstraints(value: ASN1Obj | undefined): NameConstraints | undefined {
  if (value === undefined) return undefined
  const lists = members(value)
  const bases = (tag: number): ASN1Obj[] =>
    lists.filter((list) => list.tag.isContextSpecific(tag)).flatMap(({ subs }) => subs.map(baseOf))
  const isUri = ({ tag }: ASN1Obj): boolean => tag.isContextSpecific(URI)
  const permitted = bases(PERMITTED)
  const excluded = bases(EXCLUDED)
  return Object.freeze({
    permitted: permitted.filter(isUri).map(ascii),
    excluded: excluded.filter(isUri).map(ascii),
    others: ![...permitted, ...excluded].every(isUri),
  })
}

/** Of a GeneralSubtree. */
function baseOf(tree: ASN1Obj): ASN1Obj {
  const [base] = members(tree)
  if (base === undefined) throw new Error('a name constraint without a name')
  return base
}

function members({ tag, subs }: ASN1Obj): readonly ASN1Obj[] {
  if (!tag.isUniversal() || tag.number !== 0x10) throw new Error('expected a sequence')
  return subs
}

function ascii({ value, subs }: ASN1Obj): string {
  if (subs.length > 0 || value.some((byte) => byte > 0x7f)) throw new Error('a URI that is not ASCII')
  return value.toString('latin1')
}
