import type { ASN1Obj } from '@sigstore/core'
import { type Element, membersOf, onlyElement, TAG } from './element.js'
import {
  type BasicConstraints,
  basicConstraints,
  extendedKeyUsage,
  type KeyUsage,
  keyUsage,
  type NameConstraints,
  nameConstraints,
  uris,
} from './extensions.js'
import { OID, oidText } from './oid.js'
import { isTrue, readDer } from './read-der.js'

/** Tags of TBSCertificate (RFC 5280 §4.1): `[0]`, `[3]`. */
const VERSION = TAG.constructed
const EXTENSIONS = TAG.constructed | 3
/** A certificate has some ten; each takes longer to read than its bytes to send. */
const MAX_EXTENSIONS = 32
const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/

/** What of a certificate node:crypto does not tell. */
export interface CertificateFacts extends BasicConstraints {
  /** Milliseconds since the epoch. */
  readonly notBefore: number
  readonly notAfter: number
  /** DER of the names, one character a byte: to be compared, and for nothing else. */
  readonly issuer: string
  readonly subject: string
  /** Object identifier of the algorithm that it was signed with; for RSASSA-PSS that of the hash behind a `/`. */
  readonly signatureAlgorithm: string
  /** Object identifier of the curve that its key is a point of; `undefined` for a key of another kind. */
  readonly curve: string | undefined
  /** `undefined` when the extension is absent. */
  readonly keyUsage: KeyUsage | undefined
  /** Object identifiers of the purposes; `undefined` when the extension is absent. */
  readonly extendedKeyUsage: readonly string[] | undefined
  /** The URIs of SubjectAltName, as they are. */
  readonly uris: readonly string[]
  readonly nameConstraints: NameConstraints | undefined
  /** Object identifiers of all extensions, and whether each is critical. */
  readonly extensions: ReadonlyMap<string, boolean>
}

/**
 * Reads what node:crypto does not tell. Throws whatever it meets: {@link parseCertificate} says what it means.
 *
 * Values are read by the DER parser of sigstore, which alone of those that are maintained is quick beside node:crypto; they
 * are few, so that the rest is stepped over.
 *
 * @param der what node:crypto has accepted as a certificate
 */
export function readFacts(der: Uint8Array): CertificateFacts {
  const [tbs, outerAlgorithm] = members(onlyElement(der))
  const fields = members(tbs)
  // The version is tagged, and absent in version 1, which has no extensions.
  const [, algorithm, issuer, validity, subject, keyInfo] =
    fields[0]?.tag === VERSION ? fields.slice(1) : fields
  const [notBefore, notAfter] = members(validity).map(time)
  const extensions = extensionsOf(fields)
  const read = (oid: string): ASN1Obj | undefined => {
    const extension = extensions.get(oid)
    return extension && readDer(extension.value)
  }
  return {
    notBefore: defined(notBefore),
    notAfter: defined(notAfter),
    issuer: bytesOf(issuer),
    subject: bytesOf(subject),
    signatureAlgorithm: signatureAlgorithm(defined(algorithm), defined(outerAlgorithm)),
    curve: curveOf(keyInfo),
    ...basicConstraints(read(OID.basicConstraints)),
    keyUsage: keyUsage(read(OID.keyUsage), extensions.get(OID.keyUsage)?.critical === true),
    extendedKeyUsage: extendedKeyUsage(read(OID.extendedKeyUsage)),
    uris: uris(read(OID.subjectAltName)),
    nameConstraints: nameConstraints(read(OID.nameConstraints)),
    extensions: new Map([...extensions].map(([oid, { critical }]) => [oid, critical])),
  }
}

interface Extension {
  readonly critical: boolean
  readonly value: Uint8Array
}

function extensionsOf(fields: readonly Element[]): ReadonlyMap<string, Extension> {
  const found = new Map<string, Extension>()
  const tagged = fields.find(({ tag }) => tag === EXTENSIONS)
  if (tagged === undefined) return found
  const extensions = members(membersOf(tagged)[0])
  if (extensions.length > MAX_EXTENSIONS) throw new Error(`${extensions.length} extensions`)
  for (const extension of extensions) {
    const parts = members(extension)
    const oid = identifier(parts[0])
    if (found.has(oid)) throw new Error(`extension ${oid} occurs twice`)
    const octets = parts.at(-1)
    if (octets?.tag !== TAG.octetString || parts.length > 3) throw new Error(`extension ${oid} is malformed`)
    found.set(oid, {
      critical: parts.length === 3 && isTrue(readDer(defined(parts[1]).encoded)),
      value: octets.contents,
    })
  }
  return found
}

/** RFC 5280 §4.1.1.2: the one that is signed, and the one beside the signature, are the same. */
function signatureAlgorithm(signed: Element, stated: Element): string {
  if (!signed.encoded.equals(stated.encoded)) throw new Error('it names two signature algorithms')
  const [oid, parameters] = members(signed)
  const name = identifier(oid)
  if (name !== OID.rsaPss) return name
  // RFC 4055 §3.1: the hash is tagged 0; absent it is SHA-1.
  const hash = members(parameters).find(({ tag }) => tag === TAG.constructed)
  return `${name}/${hash === undefined ? OID.sha1 : identifier(members(membersOf(hash)[0])[0])}`
}

/** RFC 5480 §2.1.1: a curve is named. */
function curveOf(keyInfo: Element | undefined): string | undefined {
  const [oid, parameters] = members(members(keyInfo)[0])
  return identifier(oid) === OID.ecPublicKey && parameters?.tag === TAG.oid
    ? identifier(parameters)
    : undefined
}

function identifier(element: Element | undefined): string {
  const { tag, contents, encoded } = defined(element)
  if (tag !== TAG.oid) throw new Error('expected an object identifier')
  return oidText(contents, () => readDer(encoded).toOID())
}

/** RFC 5280 §4.1.2.5: to the second, in UTC; of years with two digits those from 50 on are of the last century. */
function time({ tag, contents }: Element): number {
  const match = (tag === TAG.utcTime ? UTC_TIME : GENERALIZED_TIME).exec(contents.toString('latin1'))
  if (match === null || (tag !== TAG.utcTime && tag !== TAG.generalizedTime)) throw new Error('no time')
  const [year = 0, month = 0, day, hour, minute, second] = match.slice(1).map(Number)
  const century = tag === TAG.generalizedTime ? 0 : year < 50 ? 2000 : 1900
  const at = Date.UTC(century + year, month - 1, day, hour, minute, second)
  // What is no date or time of day would become another: month 99 a month of eight years later.
  const digits = new Date(at).toISOString().replaceAll(/\D/g, '').slice(0, 14)
  if (!`${digits}Z`.endsWith(match[0])) throw new Error('no such time')
  return at
}

function members(element: Element | undefined): readonly Element[] {
  const sequence = defined(element)
  if (sequence.tag !== TAG.sequence) throw new Error('expected a sequence')
  return membersOf(sequence)
}

function bytesOf(element: Element | undefined): string {
  return defined(element).contents.toString('latin1')
}

function defined<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a part is absent')
  return value
}
