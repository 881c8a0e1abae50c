import type { JsonWebKey } from 'node:crypto'
import { types } from 'node:util'
import { KestConfigError } from '../errors.js'
import { createKeySource } from '../identity/keys.js'
import type { Passport } from './passport.js'
import type { VerifiedPassport } from './verified-passport.js'
import { verifyPassport } from './verify.js'
import type { VerifyOptions } from './verify-options.js'

/** Whoever has a public key to show: {@link LocalEd25519Provider}, {@link createKeyIdentity}, … */
export interface PublicKeyHolder {
  getPublicJwk(): JsonWebKey
}

/** {@link VerifyOptions}, with providers in place of key sources. */
export interface ProviderOptions extends Omit<VerifyOptions, 'trust'> {
  /** Principal → who has its public key, or the key itself. An object or a `Map`. */
  readonly providers:
    | Readonly<Record<string, PublicKeyHolder | JsonWebKey>>
    | ReadonlyMap<string, PublicKeyHolder | JsonWebKey>
}

/** The protocol's own form of verification (F-PA-04): {@link verifyPassport} with a provider per principal. */
// biome-ignore lint/complexity/noStaticOnlyClass: the protocol names it so
export class PassportVerifier {
  /**
   * @throws {KestConfigError} for a provider without a public key; otherwise as {@link verifyPassport}
   *
   * @example
   * ```ts
   * await PassportVerifier.verify(passport, { providers: { [identity.getWorkloadId()]: identity } })
   * ```
   */
  static async verify(passport: Passport, options: ProviderOptions): Promise<VerifiedPassport> {
    const { providers, ...others } = options
    if (typeof providers !== 'object' || providers === null)
      throw new KestConfigError('verify: providers are needed')
    const keys = new Map<string, readonly JsonWebKey[]>()
    for (const [principal, provider] of types.isMap(providers) ? providers : Object.entries(providers)) {
      keys.set(principal, [publicJwk(provider)])
    }
    const trust = createKeySource(keys, others.limits === undefined ? {} : { limits: others.limits })
    return verifyPassport(passport, { ...others, trust })
  }
}

function publicJwk(provider: PublicKeyHolder | JsonWebKey): JsonWebKey {
  const holder = provider as Partial<PublicKeyHolder> | null | undefined
  return typeof holder?.getPublicJwk === 'function' ? holder.getPublicJwk() : (provider as JsonWebKey)
}
