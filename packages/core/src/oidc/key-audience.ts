import { createPublicKey, type JsonWebKey, KeyObject } from 'node:crypto'
import { KestConfigError } from '../errors.js'
import { thumbprint } from '../identity/jwk.js'
import { KEY_AUDIENCE } from './vouching.js'

/**
 * The audience that a token must have, and no other, to vouch for a key (K-OIDCID): `urn:kest:key:<RFC 7638 thumbprint>`.
 *
 * @param key a private or public key, as `KeyObject` or JWK
 * @throws {KestConfigError} for a key that cannot be read, or is symmetric. No error shows it.
 *
 * @example
 * ```ts
 * keyAudience(createPrivateKey(await readFile('/run/keys/orders.pem')))
 * ```
 */
export function keyAudience(key: KeyObject | JsonWebKey): string {
  try {
    return KEY_AUDIENCE + thumbprint(key instanceof KeyObject ? key : createPublicKey({ key, format: 'jwk' }))
  } catch {
    // The cause shows members of the key.
    throw new KestConfigError('keyAudience: expected a private or public key, as KeyObject or JWK')
  }
}
