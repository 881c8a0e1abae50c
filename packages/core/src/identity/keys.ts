import type { JsonWebKey } from 'node:crypto'
import { types } from 'node:util'
import { assertOptions } from '../assert-options.js'
import { KestConfigError, type KestError } from '../errors.js'
import { type Limits, resolveLimits } from '../limits.js'
import { toVerificationKey } from './jwk.js'
import type { KeySource, VerificationKey } from './key-source.js'

/** Principal → the public keys that may vouch for it, and for no other. */
export type KeyMap =
  | Readonly<Record<string, readonly JsonWebKey[]>>
  | ReadonlyMap<string, readonly JsonWebKey[]>

/** Keys that one principal can have; a rotation needs two. */
export const MAX_KEYS_PER_PRINCIPAL = 8

const NONE: readonly VerificationKey[] = Object.freeze([])

/**
 * A key source of keys that the operator lists (K-BIND). Fixed once made.
 *
 * @param keys own enumerable members of an object, or a `Map`; each principal has one to eight JWKs, public keys of
 *   Ed25519, P-256, P-384 or RSA
 * @param options.name as results and errors call it; default `keys`
 * @throws {KestConfigError} naming the principal whose key is private, malformed, of another kind, or not for signatures; for
 *   an unknown option
 *
 * @example
 * ```ts
 * const trust = createKeySource({ 'spiffe://example.org/hop1': [{ kty: 'OKP', crv: 'Ed25519', x: '…' }] })
 * ```
 */
export function createKeySource(
  keys: KeyMap,
  options: { readonly name?: string; readonly limits?: Partial<Limits> } = {},
): KeySource {
  assertOptions('createKeySource', options, ['name', 'limits'])
  const limits = resolveLimits(options.limits)
  if (typeof keys !== 'object' || keys === null || Array.isArray(keys)) {
    throw new KestConfigError('keys: expected principals with their keys')
  }
  const byPrincipal = new Map<string, readonly VerificationKey[]>()
  for (const [principal, jwks] of types.isMap(keys) ? keys : Object.entries(keys)) {
    byPrincipal.set(principal, verificationKeys(principal, jwks, limits))
  }
  return Object.freeze({
    name: options.name ?? 'keys',
    generation: 0,
    kind: 'keys' as const,
    knows: (principal: string) => byPrincipal.has(principal),
    find: ({ principal }: { readonly principal: string }) => byPrincipal.get(principal) ?? NONE,
  })
}

function verificationKeys(principal: string, jwks: unknown, limits: Limits): readonly VerificationKey[] {
  const name = `keys of ${JSON.stringify(principal)}`
  if (principal === '') throw new KestConfigError('keys: a principal has a name')
  if (!Array.isArray(jwks) || jwks.length === 0 || jwks.length > MAX_KEYS_PER_PRINCIPAL) {
    throw new KestConfigError(`${name}: expected one to ${MAX_KEYS_PER_PRINCIPAL} JWKs in a list`)
  }
  return Object.freeze(
    jwks.map((jwk, i) => {
      try {
        return toVerificationKey(jwk, limits)
      } catch (cause) {
        throw new KestConfigError(`${name}: ${i}: ${(cause as KestError).message}`, { cause })
      }
    }),
  )
}
