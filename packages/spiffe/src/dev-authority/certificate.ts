import { createPublicKey, hash, type KeyObject, randomBytes, sign } from 'node:crypto'
import { OID } from '../x509/oid.js'
import * as der from './der.js'

/** Bits of KeyUsage (RFC 5280 §4.2.1.3). */
export const KEY_USAGE = {
  digitalSignature: 0,
  keyEncipherment: 2,
  keyAgreement: 4,
  keyCertSign: 5,
  cRLSign: 6,
} as const

export type KeyUsage = keyof typeof KEY_USAGE

/** What a certificate is to say. */
export interface CertificateRequest {
  /** DER of a Name: {@link name}. */
  readonly subject: Uint8Array
  readonly publicKey: KeyObject
  /** Milliseconds since the epoch; the second counts. */
  readonly notBefore: number
  readonly notAfter: number
  /** DER of Extensions: {@link extension} and those made with it. */
  readonly extensions: readonly Uint8Array[]
}

/** Who signs. */
export interface Issuer {
  readonly subject: Uint8Array
  readonly privateKey: KeyObject
  /** Default: SHA-384 for P-384, SHA-256 for P-256 and RSA. */
  readonly digest?: 'sha1' | 'sha256' | 'sha384'
}

/** Makes a certificate (RFC 5280 §4.1): DER. */
export function issueCertificate(request: CertificateRequest, issuer: Issuer): Uint8Array {
  const { digest, algorithm } = signatureOf(issuer)
  const tbs = der.sequence(
    der.wrapped(0, der.integer(2)),
    der.integer(serialNumber()),
    algorithm,
    issuer.subject,
    der.sequence(der.time(request.notBefore), der.time(request.notAfter)),
    request.subject,
    request.publicKey.export({ format: 'der', type: 'spki' }),
    ...(request.extensions.length === 0 ? [] : [der.wrapped(3, der.sequence(...request.extensions))]),
  )
  return der.sequence(tbs, algorithm, der.bitString(sign(digest, tbs, issuer.privateKey)))
}

/** A Name of an organization and a common name, either of which may be absent (RFC 5280 §4.1.2.4). */
export function name(parts: { readonly organization?: string; readonly commonName?: string }): Uint8Array {
  const { organization, commonName } = parts
  const attribute = (type: string, value: string | undefined): Uint8Array[] =>
    value === undefined ? [] : [der.set(der.sequence(der.oid(type), der.utf8String(value)))]
  return der.sequence(...attribute('2.5.4.10', organization), ...attribute('2.5.4.3', commonName))
}

export function extension(type: string, critical: boolean, value: Uint8Array): Uint8Array {
  return der.sequence(der.oid(type), ...(critical ? [der.boolean(true)] : []), der.octetString(value))
}

export function basicConstraints(ca: boolean, pathLength?: number): Uint8Array {
  const members = [
    ...(ca ? [der.boolean(true)] : []),
    ...(pathLength === undefined ? [] : [der.integer(pathLength)]),
  ]
  return extension(OID.basicConstraints, true, der.sequence(...members))
}

export function keyUsage(usages: readonly KeyUsage[], critical = true): Uint8Array {
  return extension(OID.keyUsage, critical, der.namedBits(usages.map((usage) => KEY_USAGE[usage])))
}

export function extendedKeyUsage(purposes: readonly string[]): Uint8Array {
  return extension(OID.extendedKeyUsage, false, der.sequence(...purposes.map(der.oid)))
}

/** SubjectAltName of URIs. */
export function uriNames(uris: readonly string[], critical = false): Uint8Array {
  const names = uris.map((uri) => der.tagged(6, Buffer.from(uri, 'latin1')))
  return extension(OID.subjectAltName, critical, der.sequence(...names))
}

export function subjectKeyId(key: KeyObject): Uint8Array {
  return extension('2.5.29.14', false, der.octetString(keyId(key)))
}

/** Which key signed; of several authorities with one name, verifiers try that one first. */
export function authorityKeyId(issuer: Pick<Issuer, 'privateKey'>): Uint8Array {
  const id = keyId(createPublicKey(issuer.privateKey))
  return extension('2.5.29.35', false, der.sequence(der.tagged(0, id)))
}

/** RFC 7093 §2, method 1. */
function keyId(key: KeyObject): Uint8Array {
  const digest = hash('sha256', key.export({ format: 'der', type: 'spki' }), 'hex')
  return Buffer.from(digest, 'hex').subarray(0, 20)
}

/** RFC 5280 §4.1.2.2: positive, at most 20 octets. */
function serialNumber(): Uint8Array {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes
}

function signatureOf({ privateKey, digest }: Issuer): { digest: string; algorithm: Uint8Array } {
  if (privateKey.asymmetricKeyType === 'rsa') {
    const type = { sha1: '1.2.840.113549.1.1.5', sha256: OID.rsaSha256, sha384: OID.rsaSha384 }
    const chosen = digest ?? 'sha256'
    return { digest: chosen, algorithm: der.sequence(der.oid(type[chosen]), Buffer.of(5, 0)) }
  }
  const type = { sha1: '1.2.840.10045.4.1', sha256: OID.ecdsaSha256, sha384: OID.ecdsaSha384 }
  const large = privateKey.asymmetricKeyDetails?.namedCurve === 'secp384r1'
  const chosen = digest ?? (large ? 'sha384' : 'sha256')
  return { digest: chosen, algorithm: der.sequence(der.oid(type[chosen])) }
}
