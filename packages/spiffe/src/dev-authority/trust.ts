import type { JsonWebKey } from 'node:crypto'
import type { JwtBundleSource } from '../bundle/bundle-source.js'
import type { JwtBundle } from '../bundle/jwt-bundle.js'
import { parseSpiffeBundle, type SpiffeBundle } from '../bundle/spiffe-bundle.js'
import type { TrustDomain } from '../id/spiffe-id.js'
import type { Authority } from './authority.js'
import { Changes } from './changes.js'

/** Seconds; development wants to see changes. */
const REFRESH_HINT = 1

/** A bundle in the SPIFFE format (SPIFFE Trust Domain and Bundle §4). */
export interface SpiffeBundleDocument {
  readonly keys: readonly (JsonWebKey & { readonly use: 'x509-svid' | 'jwt-svid' })[]
  readonly spiffe_sequence: number
  readonly spiffe_refresh_hint: number
}

/** Which authorities count: one's own, of which one signs, and those of domains that are federated with. */
export class Trust implements JwtBundleSource {
  readonly trustDomain: TrustDomain
  readonly changes: Changes = new Changes()
  #own: readonly Authority[]
  #sequence = 1
  readonly #federated = new Map<string, SpiffeBundle>()

  constructor(trustDomain: TrustDomain, first: Authority) {
    this.trustDomain = trustDomain
    this.#own = [first]
  }

  get own(): readonly Authority[] {
    return this.#own
  }

  set own(authorities: readonly Authority[]) {
    this.#own = authorities
    this.#sequence++
    this.changes.emit()
  }

  federate(trustDomain: TrustDomain, bundle: unknown): void {
    this.#federated.set(trustDomain.name, parseSpiffeBundle(bundle, trustDomain))
    this.changes.emit()
  }

  unfederate(trustDomain: TrustDomain): void {
    if (this.#federated.delete(trustDomain.name)) this.changes.emit()
  }

  document(): SpiffeBundleDocument {
    return {
      keys: [
        ...this.#own.map(({ root, rootKeys: { publicKey } }) => ({
          ...publicKey.export({ format: 'jwk' }),
          use: 'x509-svid' as const,
          x5c: [Buffer.from(root).toString('base64')],
        })),
        ...this.#jwks(),
      ],
      spiffe_sequence: this.#sequence,
      spiffe_refresh_hint: REFRESH_HINT,
    }
  }

  /** DER certificates, concatenated. */
  x509(): Uint8Array {
    return Buffer.concat(this.#own.map(({ root }) => root))
  }

  /** By the SPIFFE ID of the trust domain, as the Workload API has it; without one's own. */
  federatedX509(): Record<string, Uint8Array> {
    const entries = [...this.#federated.values()].map(({ x509: { trustDomain, authorities } }) => [
      trustDomain.id().toString(),
      Buffer.concat(authorities),
    ])
    return Object.fromEntries(entries) as Record<string, Uint8Array>
  }

  /** JWK Sets, by the SPIFFE ID of the trust domain. */
  jwt(): Record<string, Uint8Array> {
    const sets: [TrustDomain, readonly JsonWebKey[]][] = [
      [this.trustDomain, this.#jwks()],
      ...[...this.#federated.values()].map(({ jwt }): [TrustDomain, JsonWebKey[]] => [
        jwt.trustDomain,
        jwksOf(jwt),
      ]),
    ]
    return Object.fromEntries(
      sets.map(([domain, keys]) => [domain.id().toString(), Buffer.from(JSON.stringify({ keys }))]),
    )
  }

  getJwtBundle(trustDomain: string): JwtBundle | undefined {
    if (trustDomain === this.trustDomain.name) return parseSpiffeBundle(this.document(), this.trustDomain).jwt
    return this.#federated.get(trustDomain)?.jwt
  }

  #jwks(): (JsonWebKey & { readonly use: 'jwt-svid' })[] {
    return this.#own.map(({ jwtKeys: { publicKey }, kid }) => ({
      ...publicKey.export({ format: 'jwk' }),
      use: 'jwt-svid' as const,
      kid,
    }))
  }
}

function jwksOf({ keys }: JwtBundle): JsonWebKey[] {
  return [...keys].map(([kid, key]) => ({ ...key.export({ format: 'jwk' }), kid, use: 'jwt-svid' }))
}
