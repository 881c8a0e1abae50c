import { assertOptions } from '../assert-options.js'
import { KestConfigError } from '../errors.js'
import { isPromise } from '../maybe-promise.js'
import type { ClaimMapping } from '../tokens/claims.js'
import { IDENTITY_PARTS, type IdentityPart } from '../trust/identity-authorities.js'
import type { PseudonymKeys } from './pseudonym-keys.js'

/** How those who act are named in all that is signed, exported and sent. */
export interface SubjectOptions {
  /** Keys for pseudonyms (K-PSEUDONYM). */
  readonly pseudonyms: PseudonymKeys
  /** The parts of an identity that get one, where lineage begins. Default: `user` and `agent`. */
  readonly parts?: readonly IdentityPart[] | undefined
  /** Which claim says of which tenant a token is, or a function of all claims. Default: none does. */
  readonly tenant?: ClaimMapping | undefined
  /** How long the keys of one request, or one operation, may take together, milliseconds. Default 1000. */
  readonly timeoutMs?: number | undefined
}

/** With the defaults. */
export interface ResolvedSubject {
  readonly pseudonyms: PseudonymKeys
  readonly parts: ReadonlySet<IdentityPart>
  readonly tenant: ClaimMapping
  readonly timeoutMs: number
}

const DEFAULT_PARTS: readonly IdentityPart[] = ['user', 'agent']

/** @throws {KestConfigError} for an option that is missing, unknown or wrong */
export function resolveSubject(options: SubjectOptions): ResolvedSubject {
  assertOptions('subject', options, ['pseudonyms', 'parts', 'tenant', 'timeoutMs'])
  const { pseudonyms, parts = DEFAULT_PARTS, tenant = null, timeoutMs = 1_000 } = options
  if (isPromise(pseudonyms)) throw invalid('pseudonyms', 'a source of keys, got a promise: await it')
  if (typeof pseudonyms?.current !== 'function' || typeof pseudonyms.find !== 'function')
    throw invalid('pseudonyms', 'a source of keys, an object with the methods current() and find()')
  if (!Array.isArray(parts) || parts.length === 0 || !parts.every((part) => IDENTITY_PARTS.includes(part)))
    throw invalid('parts', `some of ${IDENTITY_PARTS.join(', ')}`)
  if (tenant !== null && typeof tenant !== 'function' && (typeof tenant !== 'string' || tenant === ''))
    throw invalid('tenant', 'the name of a claim, or a function of all claims')
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > 0x7fffffff)
    throw invalid('timeoutMs', 'a positive integer')
  return Object.freeze({ pseudonyms, parts: new Set(parts), tenant, timeoutMs })
}

function invalid(option: string, expected: string): KestConfigError {
  return new KestConfigError(`subject.${option}: expected ${expected}`)
}
