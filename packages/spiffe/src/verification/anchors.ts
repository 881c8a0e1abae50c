import type { KeyObject } from 'node:crypto'
import type { X509Bundle } from '../bundle/x509-bundle.js'
import { type Certificate, isSignedBy, parseCertificate } from '../x509/certificate.js'

/** A name and a key (RFC 5280 §6.1.1d), and until when. */
export type Anchor = Pick<Certificate, 'subject' | 'publicKey' | 'notBefore' | 'notAfter' | 'x509'>

const known = new WeakMap<X509Bundle, ReadonlyMap<string, readonly Anchor[]>>()

/** The authorities of a bundle that have a name. Read once for each bundle, which is fixed. */
export function anchorsNamed(subject: string, bundle: X509Bundle): readonly Anchor[] {
  const byName = known.get(bundle) ?? readAnchors(bundle)
  known.set(bundle, byName)
  return byName.get(subject) ?? []
}

function readAnchors({ authorities }: X509Bundle): ReadonlyMap<string, readonly Anchor[]> {
  const byName = new Map<string, Anchor[]>()
  for (const anchor of authorities.map((der) => parseCertificate(der))) {
    const named = byName.get(anchor.subject)
    if (named === undefined) byName.set(anchor.subject, [anchor])
    else named.push(anchor)
  }
  return byName
}

/**
 * The authorities that have signed a certificate: those of one key, of which there are several when one was renewed.
 */
export function anchorsThatSigned(certificate: Certificate, bundle: X509Bundle): readonly Anchor[] {
  const named = anchorsNamed(certificate.issuer, bundle)
  // All authorities of a domain may have one name: the key identifiers, which prove nothing, say whose turn it is.
  const likely = named.filter(({ x509 }) => certificate.x509.checkIssued(x509))
  for (const { publicKey } of new Set([...likely, ...named])) {
    if (isSignedBy(certificate, publicKey)) return withKey(named, publicKey)
  }
  return []
}

/** The authorities that a certificate is one of: same name, same key. */
export function anchorsThatAre({ subject, publicKey }: Certificate, bundle: X509Bundle): readonly Anchor[] {
  return withKey(anchorsNamed(subject, bundle), publicKey)
}

function withKey(anchors: readonly Anchor[], key: KeyObject): readonly Anchor[] {
  return anchors.filter(({ publicKey }) => publicKey.equals(key))
}
