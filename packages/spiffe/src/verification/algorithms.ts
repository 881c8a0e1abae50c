import type { KeyObject } from 'node:crypto'
import { type JwsAlgorithm, KestError, keyAlgorithms, type Limits } from '@kest/core'
import { SpiffeError } from '../errors.js'
import type { Certificate } from '../x509/certificate.js'
import { OID } from '../x509/oid.js'

/** What certificates may be signed with: neither MD5 nor SHA-1, nor anything that nobody issues SVIDs with. */
const SIGNATURE_ALGORITHMS: ReadonlySet<string> = new Set([
  OID.ecdsaSha256,
  OID.ecdsaSha384,
  OID.ecdsaSha512,
  OID.ed25519,
  OID.rsaSha256,
  OID.rsaSha384,
  OID.rsaSha512,
  `${OID.rsaPss}/${OID.sha256}`,
  `${OID.rsaPss}/${OID.sha384}`,
  `${OID.rsaPss}/${OID.sha512}`,
])

/** What node:crypto would tell too, but at a third of the price of a signature. */
const OF_CURVE: ReadonlyMap<string | undefined, readonly JwsAlgorithm[]> = new Map([
  [OID.p256, Object.freeze<JwsAlgorithm[]>(['ES256'])],
  [OID.p384, Object.freeze<JwsAlgorithm[]>(['ES384'])],
])

/**
 * What a leaf's key signs entries with (K-ALG).
 *
 * @throws {SpiffeError} `ERR_SPIFFE_CHAIN` for a key of another kind, or RSA of a size that is not allowed
 */
export function leafAlgorithms({ publicKey, curve }: Certificate, limits: Limits): readonly JwsAlgorithm[] {
  try {
    return OF_CURVE.get(curve) ?? keyAlgorithms(publicKey, limits)
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    throw new SpiffeError('ERR_SPIFFE_CHAIN', `leaf certificate: ${cause.message}`, { cause })
  }
}

/**
 * Authorities may have a P-521 key too.
 *
 * @throws {SpiffeError} `ERR_SPIFFE_CHAIN`
 */
export function assertAuthorityKey(key: KeyObject, limits: Limits): void {
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'secp521r1') return
  try {
    keyAlgorithms(key, limits)
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    throw new SpiffeError('ERR_SPIFFE_CHAIN', `authority: ${cause.message}`, { cause })
  }
}

/** @throws {SpiffeError} `ERR_SPIFFE_CHAIN` */
export function assertSignatureAlgorithm({ signatureAlgorithm }: Certificate): void {
  if (SIGNATURE_ALGORITHMS.has(signatureAlgorithm)) return
  throw new SpiffeError(
    'ERR_SPIFFE_CHAIN',
    `certificate: it was signed with an algorithm that is not allowed, ${signatureAlgorithm}`,
  )
}
