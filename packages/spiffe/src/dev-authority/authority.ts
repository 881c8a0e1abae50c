import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import type { SpiffeId, TrustDomain } from '../id/spiffe-id.js'
import { OID } from '../x509/oid.js'
import {
  authorityKeyId,
  basicConstraints,
  extendedKeyUsage,
  type Issuer,
  issueCertificate,
  keyUsage,
  name,
  subjectKeyId,
  uriNames,
} from './certificate.js'
import { generateKeys, type KeyPair, type KeyType } from './keys.js'

const YEAR = 365 * 24 * 60 * 60_000
/** As SPIRE does: clocks differ. */
const BACKDATED = 10_000

/** What one generation of an authority signs with. Keys are in memory only. */
export interface Authority {
  /** The trust anchor, DER. */
  readonly root: Uint8Array
  readonly rootKeys: KeyPair
  /** DER, that which signs SVIDs first. */
  readonly intermediates: readonly Uint8Array[]
  readonly issuer: Issuer
  readonly jwtKeys: KeyPair
  readonly kid: string
}

/** An SVID as the Workload API sends it. */
export interface IssuedSvid {
  readonly id: SpiffeId
  /** DER, concatenated, the leaf first, without the root. */
  readonly certificates: Uint8Array
  /** DER. */
  readonly pkcs8: Uint8Array
  /** Milliseconds since the epoch. */
  readonly notAfter: number
}

export async function createAuthority(
  trustDomain: TrustDomain,
  options: { readonly keyType: KeyType; readonly intermediates: number },
): Promise<Authority> {
  const rootKeys = await generateKeys(options.keyType)
  const root = signingCertificate(trustDomain, rootKeys, {
    subject: name({ organization: 'SPIFFE', commonName: `development authority of ${trustDomain}` }),
    privateKey: rootKeys.privateKey,
  })
  let issuer = root.issuer
  const intermediates: Uint8Array[] = []
  for (let i = 1; i <= options.intermediates; i++) {
    const subject = name({ organization: 'SPIFFE', commonName: `intermediate ${i} of ${trustDomain}` })
    const made = signingCertificate(trustDomain, await generateKeys(options.keyType), issuer, subject)
    intermediates.unshift(made.certificate)
    issuer = made.issuer
  }
  return Object.freeze({
    root: root.certificate,
    rootKeys,
    intermediates,
    issuer,
    jwtKeys: await generateKeys('ec-p256'),
    kid: randomUUID(),
  })
}

export async function issueX509Svid(
  { issuer, intermediates }: Authority,
  id: SpiffeId,
  options: { readonly keyType: KeyType; readonly ttlMs: number },
): Promise<IssuedSvid> {
  const { publicKey, privateKey } = await generateKeys(options.keyType)
  const now = Date.now()
  const notAfter = Math.ceil((now + options.ttlMs) / 1000) * 1000
  const leaf = issueCertificate(
    {
      subject: name({ organization: 'SPIFFE' }),
      publicKey,
      notBefore: now - BACKDATED,
      notAfter,
      extensions: [
        keyUsage(['digitalSignature']),
        extendedKeyUsage([OID.serverAuth, OID.clientAuth]),
        basicConstraints(false),
        subjectKeyId(publicKey),
        authorityKeyId(issuer),
        uriNames([id.toString()]),
      ],
    },
    issuer,
  )
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' })
  return { id, certificates: Buffer.concat([leaf, ...intermediates]), pkcs8, notAfter }
}

/** A JWT-SVID (JWT-SVID §3). */
export function issueJwtSvid(
  { jwtKeys, kid }: Authority,
  id: SpiffeId,
  audience: readonly string[],
  ttlMs: number,
): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' })
    .setSubject(id.toString())
    .setAudience([...audience])
    .setIssuedAt()
    .setExpirationTime(new Date(Date.now() + ttlMs))
    .sign(jwtKeys.privateKey)
}

/** A CA certificate, and the issuer that it makes of its key. */
function signingCertificate(
  trustDomain: TrustDomain,
  { publicKey, privateKey }: KeyPair,
  issuer: Issuer,
  subject: Uint8Array = issuer.subject,
): { readonly certificate: Uint8Array; readonly issuer: Issuer } {
  const now = Date.now()
  const certificate = issueCertificate(
    {
      subject,
      publicKey,
      notBefore: now - BACKDATED,
      notAfter: now + YEAR,
      extensions: [
        keyUsage(['keyCertSign', 'cRLSign']),
        basicConstraints(true),
        subjectKeyId(publicKey),
        authorityKeyId(issuer),
        uriNames([trustDomain.id().toString()]),
      ],
    },
    issuer,
  )
  return { certificate, issuer: { subject, privateKey } }
}
