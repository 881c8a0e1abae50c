import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { types } from 'node:util'
import { SpiffeError } from '../errors.js'
import type { TrustDomain } from '../id/spiffe-id.js'

/** Far above any bundle that one meets. */
const MAX_BYTES = 4 * 1024 * 1024
const MAX_KEYS = 1024

/** Members that only a private or a symmetric key has (RFC 7518 §6). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const
const KINDS: readonly unknown[] = ['EC', 'RSA', 'OKP']

/** One key of a set, and how to say that it is wrong. */
export interface Jwk {
  readonly members: Readonly<Record<string, unknown>>
  readonly fail: (why: string, cause?: unknown) => SpiffeError
}

/** The members of a JWK Set and its keys, not yet looked at. */
export function jwksOf(
  untrusted: unknown,
  trustDomain: TrustDomain,
): { readonly document: Readonly<Record<string, unknown>>; readonly keys: readonly Jwk[] } {
  const what = `bundle of ${trustDomain}`
  const document =
    typeof untrusted === 'string' || types.isUint8Array(untrusted) ? parseJson(untrusted, what) : untrusted
  if (!isObject(document)) throw wrong(`${what}: expected a JSON object`)
  const { keys } = document
  if (!Array.isArray(keys)) throw wrong(`${what}: expected a list "keys"`)
  if (keys.length > MAX_KEYS) throw wrong(`${what}: ${keys.length} keys, allowed are ${MAX_KEYS}`)
  return {
    document,
    keys: keys.map((members: unknown, i) => {
      const fail: Jwk['fail'] = (why, cause) => wrong(`${what}: key ${i}: ${why}`, cause)
      if (!isObject(members)) throw fail('expected an object')
      return { members, fail }
    }),
  }
}

/** The public key; `undefined` for a kind that is not known here (RFC 7517 §5). */
export function publicKeyOf({ members, fail }: Jwk): KeyObject | undefined {
  if (typeof members['kty'] !== 'string') throw fail('it has no kty')
  if (!KINDS.includes(members['kty'])) return undefined
  for (const name of PRIVATE_MEMBERS) {
    if (Object.hasOwn(members, name)) throw fail(`it is not a public key alone: it has "${name}"`)
  }
  try {
    return createPublicKey({ key: members as JsonWebKey, format: 'jwk' })
  } catch {
    // The cause shows members of the key.
    throw fail('it cannot be read')
  }
}

function parseJson(text: string | Uint8Array, what: string): unknown {
  if (text.length > MAX_BYTES) throw wrong(`${what}: ${text.length} bytes, allowed are ${MAX_BYTES}`)
  try {
    return JSON.parse(
      typeof text === 'string'
        ? text
        : new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text),
    )
  } catch (cause) {
    throw wrong(`${what}: not JSON`, cause)
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function wrong(message: string, cause?: unknown): SpiffeError {
  return new SpiffeError('ERR_SPIFFE_BUNDLE', message, cause === undefined ? {} : { cause })
}
