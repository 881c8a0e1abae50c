import type { KeyObject } from 'node:crypto'
import { KestConfigError } from '../errors.js'
import type { JwsAlgorithm, JwsHeader } from '../jws/algorithm.js'
import type { MaybePromise } from '../maybe-promise.js'

/** A public key that may vouch for a principal, and the only algorithms it is used with. */
export interface VerificationKey {
  readonly key: KeyObject
  readonly algorithms: readonly JwsAlgorithm[]
  readonly kid?: string | undefined
}

/** What a verifier asks a {@link KeySource}. */
export interface KeyQuery {
  /** `labels.principal` of the entry. */
  readonly principal: string
  readonly header: JwsHeader
  /** When the certificates must have been valid (K-TIME), milliseconds since the epoch. */
  readonly time: number
}

/**
 * Who signed → that principal's own public keys, or nothing (K-BIND). A source never answers with another
 * principal's keys, and never with a key that the entry itself offered unless it proved that key first (X.509).
 */
export interface KeySource {
  /** Named in results and errors. */
  readonly name: string
  /** Grows whenever an earlier answer may no longer hold; verified signatures are remembered under it (K-CACHE). */
  readonly generation: number
  /** Whether it judges entries with `x5c` (certificates) rather than those with plain keys. */
  readonly kind: 'keys' | 'x509'
  /**
   * The keys of `query.principal`; empty when it is unknown here (another source may know it). Throws a
   * `KestError` when it knows the principal and must refuse (`ERR_KEST_CERTIFICATE`), or when it cannot say
   * (`ERR_KEST_KEYS_UNAVAILABLE`).
   */
  find(query: KeyQuery): MaybePromise<readonly VerificationKey[]>
  /**
   * Whether it can have keys of a principal at all, without looking for them: strangers are refused by it before what
   * they sent is read. Left out: of any.
   */
  knows?(principal: string): boolean
  close?(): MaybePromise<void>
}

/** Whether an operator gave a source, as far as that can be seen. */
export function isKeySource(value: unknown): value is KeySource {
  const source = value as Partial<KeySource> | null | undefined
  return typeof source?.find === 'function' && (source.kind === 'keys' || source.kind === 'x509')
}

/**
 * The sources that an operator gave: one, or a list.
 * @throws {KestConfigError} for what is none, saying what it seems to be and how a source is made of it
 */
export function toKeySources(where: string, trust: unknown): readonly KeySource[] {
  const sources: readonly unknown[] = Array.isArray(trust) ? [...trust] : [trust]
  for (const source of sources) {
    if (!isKeySource(source))
      throw new KestConfigError(`${where}: expected a key source, ${mistaken(source)}`)
  }
  return sources as readonly KeySource[]
}

function mistaken(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `got ${value === null ? 'null' : typeof value}`
  if ('getX509Bundle' in value) return 'got a source of bundles: createX509KeySource(source) of @kest/spiffe'
  if ('source' in value && 'current' in value)
    return 'got an identity provider: createX509KeySource(identity.source) of @kest/spiffe'
  if ('getPublicJwk' in value)
    return 'got an identity provider: createKeySource({ [identity.getWorkloadId()]: [identity.getPublicJwk()] })'
  if ('current' in value) return 'got an identity provider, which signs; a key source knows whose keys count'
  if ('then' in value) return 'got a promise: await it'
  if ('find' in value) return 'got one of no kind: "keys" or "x509"'
  return 'got an object without find(): createKeySource({ principal: [jwk] })'
}
