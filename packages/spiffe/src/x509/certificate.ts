import { type KeyObject, X509Certificate } from 'node:crypto'
import { SpiffeError } from '../errors.js'
import { encodedLength, TAG } from './element.js'
import { type CertificateFacts, readFacts } from './facts.js'

/** RFC 5280 §4.1: larger than any certificate one meets, smaller than what is dear to parse. */
export const MAX_CERTIFICATE_BYTES = 16_384

/** A certificate that was read: every byte of `der` belongs to it. Nothing about it is verified. */
export interface Certificate extends CertificateFacts {
  readonly der: Uint8Array
  /** Node's view: signatures, issuer and subject. Its `keyUsage` is the *extended* key usage. */
  readonly x509: X509Certificate
  readonly publicKey: KeyObject
}

/**
 * Reads one DER certificate. What node:crypto and the facts say is of the same bytes: node:crypto looks for PEM first, anywhere
 * in what it is given, and would read the certificate that another carries in an extension.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE`
 */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.byteLength > MAX_CERTIFICATE_BYTES)
    throw unreadable(`${der.byteLength} bytes, allowed are ${MAX_CERTIFICATE_BYTES}`)
  if (sequenceLength(der, 0) !== der.byteLength) throw unreadable('there are bytes before or behind it')
  try {
    const x509 = new X509Certificate(der)
    if (!x509.raw.equals(der)) throw unreadable('it is not DER, or carries another as PEM')
    return Object.freeze({ ...readFacts(der), der, x509, publicKey: x509.publicKey })
  } catch (cause) {
    if (cause instanceof SpiffeError) throw cause
    throw unreadable('it is malformed', cause)
  }
}

/**
 * Splits DER certificates that follow one another, as the Workload API sends them.
 *
 * @param limit how many at most
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE` when a byte of it belongs to none, or there are more
 */
export function splitCertificates(der: Uint8Array, limit: number): readonly Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0; at < der.byteLength; ) {
    const length = sequenceLength(der, at)
    if (length === undefined || at + length > der.byteLength) throw unreadable(`${at}: not a DER certificate`)
    if (parts.length === limit) throw unreadable(`more than ${limit} certificates`)
    // A copy: what came from the wire may lie beside a private key.
    parts.push(Uint8Array.prototype.slice.call(der, at, at + length))
    at += length
  }
  return parts
}

/** Whether the key made the certificate's signature. */
export function isSignedBy({ x509 }: Certificate, key: KeyObject): boolean {
  try {
    return x509.verify(key)
  } catch {
    // A key of another kind than the signature.
    return false
  }
}

/** Whether it is a root. One that merely has the name of its issuer is not (RFC 5280 §3.2: self-issued). */
export function isSelfSigned(certificate: Certificate): boolean {
  return certificate.issuer === certificate.subject && isSignedBy(certificate, certificate.publicKey)
}

/** Bytes of the DER SEQUENCE that begins at `at`, its header included; `undefined` when none begins there. */
function sequenceLength(der: Uint8Array, at: number): number | undefined {
  return der[at] === TAG.sequence ? encodedLength(der, at) : undefined
}

function unreadable(why: string, cause?: unknown): SpiffeError {
  return new SpiffeError(
    'ERR_SPIFFE_CERTIFICATE',
    `certificate: ${why}`,
    cause === undefined ? {} : { cause },
  )
}
