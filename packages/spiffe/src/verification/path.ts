import type { KeyObject } from 'node:crypto'
import type { JwsAlgorithm, Limits } from '@kest/core'
import type { X509Bundle } from '../bundle/x509-bundle.js'
import { SpiffeError } from '../errors.js'
import type { SpiffeId } from '../id/spiffe-id.js'
import { checkLeaf, checkSigning } from '../svid/profile.js'
import { type Certificate, isSelfSigned, isSignedBy, parseCertificate } from '../x509/certificate.js'
import { OID } from '../x509/oid.js'
import { assertAuthorityKey, assertSignatureAlgorithm, leafAlgorithms } from './algorithms.js'
import { type Anchor, anchorsThatAre, anchorsThatSigned } from './anchors.js'
import { assertNameConstraints } from './name-constraints.js'

/** Extensions that are understood here: a critical one that is not makes a certificate useless (RFC 5280 §4.2). */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.keyUsage,
  OID.subjectAltName,
  OID.basicConstraints,
  OID.nameConstraints,
  OID.extendedKeyUsage,
  // No policy is asked for, so that every policy will do (RFC 5280 §6.1.1c).
  OID.certificatePolicies,
])

/** Certificates of which each is shaped as its place demands. Their links are not checked. */
export interface Chain {
  readonly id: SpiffeId
  /** The leaf first, then each that is to have signed the one before. */
  readonly certificates: readonly [Certificate, ...Certificate[]]
  readonly algorithms: readonly JwsAlgorithm[]
}

/** A chain that leads to an authority of its trust domain. Whether at a certain time is {@link assertValidAt}'s. */
export interface Path {
  readonly id: SpiffeId
  readonly publicKey: KeyObject
  readonly algorithms: readonly JwsAlgorithm[]
  /** When all of it is valid, authority included: one span for each certificate of the authority. */
  readonly valid: readonly Span[]
}

/** Milliseconds since the epoch, both ends included. */
export interface Span {
  readonly notBefore: number
  readonly notAfter: number
}

/** The last certificate of a chain, and the authorities that stand behind it. */
export interface Top {
  readonly certificate: Certificate
  readonly anchors: readonly Anchor[]
}

/**
 * Reads the last certificate of a chain and finds the authorities behind it, before any other is read: whoever has none
 * has us do no more than that.
 *
 * @param bundle that of the leaf's own trust domain
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE`, `ERR_SPIFFE_CHAIN`
 */
export function readTop(ders: readonly Uint8Array[], bundle: X509Bundle, limits: Limits): Top {
  const der = lastOf(ders, limits)
  const certificate = parseCertificate(der)
  return { certificate, anchors: anchorsOf(certificate, ders.length, bundle) }
}

/**
 * Reads the certificates of a chain and judges each by itself: the leaf is an SVID, the others may sign, and every key,
 * signature algorithm and critical extension is one that is understood and allowed.
 *
 * @param top the last of them, if it was read
 * @throws {SpiffeError} `ERR_SPIFFE_CERTIFICATE`, `ERR_SPIFFE_X509_SVID`, `ERR_SPIFFE_CHAIN`
 */
export function readChain(ders: readonly Uint8Array[], limits: Limits, top?: Top): Chain {
  const last = lastOf(ders, limits)
  const [leaf, ...signing] = ders.map((der) =>
    der === last && top !== undefined ? top.certificate : parseCertificate(der),
  ) as [Certificate, ...Certificate[]]
  const id = checkLeaf(leaf, 'ERR_SPIFFE_X509_SVID')
  const algorithms = leafAlgorithms(leaf, limits)
  assertUnderstood(leaf)
  for (const certificate of signing) {
    checkSigning(certificate, 'ERR_SPIFFE_CHAIN')
    assertAuthorityKey(certificate.publicKey, limits)
    assertUnderstood(certificate)
  }
  return { id, certificates: [leaf, ...signing], algorithms }
}

function lastOf(ders: readonly Uint8Array[], { certificates }: Limits): Uint8Array {
  if (ders.length > certificates) throw refused(`${ders.length} certificates, allowed are ${certificates}`)
  const last = ders.at(-1)
  if (last === undefined) throw refused('there is no certificate')
  return last
}

/**
 * Follows a chain to an authority of the bundle (RFC 5280 §6.1): each certificate was signed by the next, in the order
 * given, and the last one by an authority; no path is longer, and no name other, than whoever signed it allows, and none of
 * them is the root.
 *
 * From the top down, so that no signature is checked with a key that nobody vouches for.
 *
 * @param bundle that of the leaf's own trust domain
 * @param anchors the authorities behind the last certificate, if they were found
 * @throws {SpiffeError} `ERR_SPIFFE_CHAIN`
 */
export function followPath(
  { id, certificates, algorithms }: Chain,
  bundle: X509Bundle,
  limits: Limits,
  anchors: readonly Anchor[] = anchorsOf(certificates.at(-1) as Certificate, certificates.length, bundle),
): Path {
  for (const { publicKey } of anchors.slice(0, 1)) assertAuthorityKey(publicKey, limits)
  for (const [i, certificate] of [...certificates.entries()].reverse()) {
    const issuer = certificates[i + 1]
    if (issuer !== undefined) assertIssuedBy(certificate, issuer, i)
    if (i === 0) continue
    assertNotRoot(certificate)
    assertMayBeAbove(certificate, certificates.slice(0, i))
  }
  return Object.freeze({
    id,
    publicKey: certificates[0].publicKey,
    algorithms,
    valid: anchors.map((anchor) => intersection([...certificates, anchor])),
  })
}

/**
 * @param time milliseconds since the epoch
 * @throws {SpiffeError} `ERR_SPIFFE_EXPIRED`: a certificate was not valid yet, or is not any more
 */
export function assertValidAt({ id, valid }: Path, time: number): void {
  if (valid.some(({ notBefore, notAfter }) => notBefore <= time && time <= notAfter)) return
  const spans = valid.map(({ notBefore, notAfter }) => `${instant(notBefore)} to ${instant(notAfter)}`)
  throw new SpiffeError(
    'ERR_SPIFFE_EXPIRED',
    `certificates of ${id}: valid from ${spans.join(' and ')}, not at ${instant(time)}`,
  )
}

function assertUnderstood(certificate: Certificate): void {
  assertSignatureAlgorithm(certificate)
  for (const [oid, critical] of certificate.extensions) {
    if (critical && !UNDERSTOOD.has(oid)) throw refused(`critical extension ${oid} is not understood`)
  }
}

/** K-X5C: the root is the verifier's own, and a second spelling of the same chain is none. */
function assertNotRoot(certificate: Certificate): void {
  if (isSelfSigned(certificate)) {
    throw refused('it holds a root: whoever verifies has their own')
  }
}

function assertMayBeAbove(certificate: Certificate, below: readonly Certificate[]): void {
  const { pathLength } = certificate
  // All intermediates below count, self-issued ones too, as most implementations have it.
  if (pathLength !== undefined && below.length - 1 > pathLength) {
    throw refused(`${below.length - 1} intermediates below one that allows ${pathLength}`)
  }
  assertNameConstraints(certificate, below)
}

function assertIssuedBy(certificate: Certificate, issuer: Certificate, i: number): void {
  if (certificate.issuer !== issuer.subject)
    throw refused(`certificate ${i} was not issued by the one behind it`)
  if (!isSignedBy(certificate, issuer.publicKey))
    throw refused(`certificate ${i} was not signed with the key of the one behind it`)
}

/** Those that signed the last certificate; or, when an intermediate is an authority itself, that one. */
function anchorsOf(last: Certificate, length: number, bundle: X509Bundle): readonly Anchor[] {
  const signers = anchorsThatSigned(last, bundle)
  if (signers.length > 0) return signers
  const same = length > 1 ? anchorsThatAre(last, bundle) : []
  if (same.length > 0) return same
  throw refused(`it leads to no authority of ${bundle.trustDomain}`)
}

function intersection(spans: readonly Span[]): Span {
  return Object.freeze({
    notBefore: Math.max(...spans.map(({ notBefore }) => notBefore)),
    notAfter: Math.min(...spans.map(({ notAfter }) => notAfter)),
  })
}

function instant(time: number): string {
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? `${time} ms` : date.toISOString()
}

function refused(why: string): SpiffeError {
  return new SpiffeError('ERR_SPIFFE_CHAIN', `certificate chain: ${why}`)
}
