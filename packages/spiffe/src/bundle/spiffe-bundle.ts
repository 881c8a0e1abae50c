import { SpiffeError } from '../errors.js'
import { TrustDomain } from '../id/spiffe-id.js'
import { parseCertificate } from '../x509/certificate.js'
import { type Jwk, jwksOf, publicKeyOf } from './jwk-set.js'
import { JwtBundle } from './jwt-bundle.js'
import { type BundleFacts, X509Bundle } from './x509-bundle.js'

/** Trust Domain and Bundle §4.1.1: 64 bits. JSON rounds what is beyond 2⁵³, which keeps their order. */
const MAX_SEQUENCE = 2 ** 64

/** Authorities of a trust domain, for both kinds of SVID. */
export interface SpiffeBundle {
  readonly x509: X509Bundle
  readonly jwt: JwtBundle
}

/**
 * Reads a bundle in the SPIFFE format (SPIFFE Trust Domain and Bundle §4): a JWK Set whose keys have a `use`.
 *
 * Keys of an unknown `use` or `kty` are passed over, as the standard wants; every other defect refuses the whole of it. An
 * empty list of keys is a bundle: one under which nothing verifies.
 *
 * @param bundle text, bytes, or what JSON made of them
 * @param trustDomain whose it is: nothing in the document says so, and who calls must know
 * @throws {SpiffeError} `ERR_SPIFFE_BUNDLE`, saying which key; `ERR_SPIFFE_TRUST_DOMAIN`
 */
export function parseSpiffeBundle(bundle: unknown, trustDomain: TrustDomain | string): SpiffeBundle {
  const domain = typeof trustDomain === 'string' ? TrustDomain.parse(trustDomain) : trustDomain
  const { document, keys } = jwksOf(bundle, domain)
  const authorities: Uint8Array[] = []
  const jwtKeys: Jwk[] = []
  for (const jwk of keys) {
    // An unknown use is passed over (§4.2.2); so is an unknown kty, below.
    if (jwk.members['use'] === 'x509-svid') authorities.push(...authorityOf(jwk))
    else if (jwk.members['use'] === 'jwt-svid') jwtKeys.push(jwk)
  }
  return Object.freeze({
    x509: new X509Bundle(domain, authorities, factsOf(document, domain)),
    jwt: new JwtBundle(domain, jwtAuthorities(jwtKeys)),
  })
}

/**
 * Reads the keys of JWT-SVIDs as the Workload API sends them: a JWK Set, whose keys need not say their `use`.
 *
 * @throws {SpiffeError} as {@link parseSpiffeBundle}
 */
export function parseJwtBundle(jwks: unknown, trustDomain: TrustDomain | string): JwtBundle {
  const domain = typeof trustDomain === 'string' ? TrustDomain.parse(trustDomain) : trustDomain
  const { keys } = jwksOf(jwks, domain)
  return new JwtBundle(
    domain,
    jwtAuthorities(keys.filter(({ members: { use } }) => use === undefined || use === 'jwt-svid')),
  )
}

/** X509-SVID §6.2: without a certificate it is passed over, of several the first counts; and the key is its key. */
function authorityOf(jwk: Jwk): readonly Uint8Array[] {
  const { members, fail } = jwk
  const key = publicKeyOf(jwk)
  if (key === undefined) return []
  const x5c = members['x5c'] ?? []
  if (!Array.isArray(x5c)) throw fail('its x5c is no list')
  if (x5c.length === 0) return []
  const text: unknown = x5c[0]
  const der = typeof text === 'string' ? Buffer.from(text, 'base64') : undefined
  if (der === undefined || der.toString('base64') !== text) throw fail('its x5c is not base64')
  try {
    if (parseCertificate(der).publicKey.equals(key)) return [new Uint8Array(der)]
  } catch (cause) {
    throw fail('its x5c is no certificate', cause)
  }
  throw fail('its key is not that of its certificate')
}

/** §4.2.4: a `kid` tells them apart. */
function jwtAuthorities(keys: readonly Jwk[]): Map<string, NonNullable<ReturnType<typeof publicKeyOf>>> {
  const found = new Map<string, NonNullable<ReturnType<typeof publicKeyOf>>>()
  for (const jwk of keys) {
    const key = publicKeyOf(jwk)
    if (key === undefined) continue
    const kid = jwk.members['kid']
    if (typeof kid !== 'string' || kid === '') throw jwk.fail('it has no kid')
    if (found.has(kid)) throw jwk.fail('its kid occurs twice')
    found.set(kid, key)
  }
  return found
}

function factsOf(document: Readonly<Record<string, unknown>>, trustDomain: TrustDomain): BundleFacts {
  const sequence = wholeNumber(document, 'spiffe_sequence', MAX_SEQUENCE, trustDomain)
  const hint = wholeNumber(document, 'spiffe_refresh_hint', Number.MAX_SAFE_INTEGER, trustDomain)
  return {
    ...(sequence === undefined ? {} : { sequence }),
    ...(hint === undefined ? {} : { refreshHintMs: hint * 1000 }),
  }
}

function wholeNumber(
  document: Readonly<Record<string, unknown>>,
  name: string,
  most: number,
  trustDomain: TrustDomain,
): number | undefined {
  const value = document[name]
  if (value === undefined) return undefined
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most) return value as number
  throw new SpiffeError('ERR_SPIFFE_BUNDLE', `bundle of ${trustDomain}: ${name}: expected a whole number`)
}
