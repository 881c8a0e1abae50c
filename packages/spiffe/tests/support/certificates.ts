import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import {
  authorityKeyId,
  basicConstraints,
  type CertificateRequest,
  extendedKeyUsage,
  extension,
  type Issuer,
  issueCertificate,
  keyUsage,
  name,
  subjectKeyId,
  uriNames,
} from '../../src/dev-authority/certificate.js'
import * as der from '../../src/dev-authority/der.js'
import { OID } from '../../src/x509/oid.js'

// Throw-away keys and certificates, made when a test runs.

export const DOMAIN = 'example.org'
export const HOP1 = `spiffe://${DOMAIN}/hop1`
/** When all of them are valid. */
export const NOW: number = Date.UTC(2026, 0, 31, 12)
export const HOUR = 3_600_000

export interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export function ec(namedCurve = 'P-256'): Pair {
  return generateKeyPairSync('ec', { namedCurve })
}

export function rsa(modulusLength: number): Pair {
  return generateKeyPairSync('rsa', { modulusLength })
}

/** Someone who signs certificates, and their own certificate. */
export interface Signer {
  readonly certificate: Uint8Array
  readonly issuer: Issuer
  readonly keys: Pair
}

/** What differs from a certificate without a defect. */
export type Change = Partial<CertificateRequest> & {
  readonly keys?: Pair
  readonly extensions?: readonly Uint8Array[]
  readonly digest?: Issuer['digest']
}

export const LEAF = {
  keyUsage: keyUsage(['digitalSignature']),
  extendedKeyUsage: extendedKeyUsage([OID.serverAuth, OID.clientAuth]),
  basicConstraints: basicConstraints(false),
  names: uriNames([HOP1]),
}

export const SIGNING = {
  keyUsage: keyUsage(['keyCertSign', 'cRLSign']),
  basicConstraints: basicConstraints(true),
}

/** A leaf; `replaced` takes the place of extensions of the same name, `undefined` leaves one out. */
export function leafOf(
  { issuer }: Pick<Signer, 'issuer'>,
  replaced: Readonly<Record<string, Uint8Array | undefined>> = {},
  change: Change = {},
): Uint8Array {
  const { keys = ec(), digest, ...request } = change
  return issueCertificate(
    {
      subject: name({ organization: 'SPIFFE' }),
      publicKey: keys.publicKey,
      notBefore: NOW - HOUR,
      notAfter: NOW + HOUR,
      extensions: extensionsOf({ ...LEAF, akid: authorityKeyId(issuer), ...replaced }),
      ...request,
    },
    digest === undefined ? issuer : { ...issuer, digest },
  )
}

/** A root, or what another signer signed. */
export function signerOf(
  commonName: string,
  by?: Pick<Signer, 'issuer'>,
  replaced: Readonly<Record<string, Uint8Array | undefined>> = {},
  change: Change = {},
): Signer {
  const { keys = ec(), digest, ...request } = change
  const subject = name({ organization: 'SPIFFE', commonName })
  const issuer: Issuer = by?.issuer ?? { subject, privateKey: keys.privateKey }
  const certificate = issueCertificate(
    {
      subject,
      publicKey: keys.publicKey,
      notBefore: NOW - 24 * HOUR,
      notAfter: NOW + 24 * HOUR,
      extensions: extensionsOf({ ...SIGNING, skid: subjectKeyId(keys.publicKey), ...replaced }),
      ...request,
    },
    digest === undefined ? issuer : { ...issuer, digest },
  )
  return { certificate, issuer: { subject, privateKey: keys.privateKey }, keys }
}

/** NameConstraints of URIs, and of DNS names. */
export function nameConstraints(lists: {
  readonly permitted?: readonly string[]
  readonly excluded?: readonly string[]
  readonly permittedDns?: readonly string[]
}): Uint8Array {
  const trees = (tag: number, names: readonly string[] = []): Uint8Array[] =>
    names.map((text) => der.sequence(der.tagged(tag, Buffer.from(text))))
  const permitted = [...trees(6, lists.permitted), ...trees(2, lists.permittedDns)]
  const excluded = trees(6, lists.excluded)
  return extension(
    OID.nameConstraints,
    true,
    der.sequence(
      ...(permitted.length === 0 ? [] : [der.wrapped(0, ...permitted)]),
      ...(excluded.length === 0 ? [] : [der.wrapped(1, ...excluded)]),
    ),
  )
}

/** An extension that nobody knows. */
export function unknownExtension(critical: boolean): Uint8Array {
  return extension('1.3.6.1.4.1.99999.1', critical, der.utf8String('?'))
}

function extensionsOf(parts: Readonly<Record<string, Uint8Array | undefined>>): Uint8Array[] {
  return Object.values(parts).filter((part) => part !== undefined)
}
