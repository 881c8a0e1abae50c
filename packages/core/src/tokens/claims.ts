import type { JWTPayload } from 'jose'
import { KestError } from '../errors.js'
import type { IdentityContext } from '../passport/verified.js'
import { looksLikePseudonym } from '../trust/reserved.js'

/**
 * Where one part of an identity comes from: the name of a claim, a function of all claims, or `null` for "not from
 * the token". A function answers with `null` or `undefined` when the token does not say; throwing refuses the token.
 */
export type ClaimMapping = string | null | ((claims: JWTPayload) => string | null | undefined)

/** Claims → user, agent, task (F-IC-05). */
export interface ClaimMappings {
  /** Default `sub`. */
  readonly user?: ClaimMapping | undefined
  /** Default `client_id`, and with a delegated token whoever acts now (K-ACT). */
  readonly agent?: ClaimMapping | undefined
  /** Default `scope`. A claim that is a list of scopes is joined by spaces, in its order. */
  readonly task?: ClaimMapping | undefined
}

/**
 * How a delegated token (one with `act`) is read (K-ACT).
 *
 * - `rfc8693`: `sub` is the user, `act.sub` the agent acting now, a nested `act` who acted before (RFC 8693 §4.1).
 * - `reversed`: `sub` is the agent acting now, `act.sub` the user for whom it acts, as a few issuers have it. Such a
 *   token with a nested `act` is refused: nobody defined whom it names.
 */
export type Delegation = 'rfc8693' | 'reversed'

/** What a token says about who acts. */
export interface TokenIdentity {
  readonly identity: IdentityContext
  /** Who acted before the present agent, the latest first. Informational: RFC 8693 bars it from access decisions. */
  readonly priorActors: readonly string[]
}

/** Nested `act` claims that are read; a token has a handful at most. */
const MAX_ACTORS = 16

/** RFC 6749 §3.3: one scope, without the space that is between two. */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/

const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * Reads an identity out of claims that were verified. A claim given by name is a string, of the task also a list of
 * scopes; absent and empty ones are "not stated". A function outweighs the rule of delegation, a name does not.
 *
 * @throws {KestError} `ERR_KEST_TOKEN` for a claim that is not a string, a malformed `act`, or a function that fails.
 */
export function identityOf(
  claims: JWTPayload,
  mappings: ClaimMappings,
  delegation: Delegation,
): TokenIdentity {
  const actors = actorsOf(claims)
  const [acting] = actors
  let delegated: { user?: string | null; agent?: string | null } = {}
  if (acting !== undefined) {
    if (delegation === 'reversed' && actors.length > 1) {
      throw new KestError(
        'ERR_KEST_TOKEN',
        'claim "act" is nested, which delegation "reversed" does not define',
      )
    }
    delegated = delegation === 'rfc8693' ? { agent: acting } : { user: acting, agent: named(claims, 'sub') }
  }
  const part = (
    mapping: ClaimMapping,
    byDelegation: string | null | undefined,
    name: string,
  ): string | null => {
    if (mapping === null) return null
    if (typeof mapping === 'function') return computed(claims, mapping, name)
    return byDelegation === undefined ? named(claims, mapping) : byDelegation
  }
  return {
    identity: Object.freeze({
      user: part(mappings.user === undefined ? 'sub' : mappings.user, delegated.user, 'user'),
      agent: part(mappings.agent === undefined ? 'client_id' : mappings.agent, delegated.agent, 'agent'),
      task: taskOf(claims, mappings.task === undefined ? 'scope' : mappings.task),
    }),
    priorActors: Object.freeze(actors.slice(1)),
  }
}

/**
 * One claim, as the parts of an identity are read.
 * @throws {KestError} `ERR_KEST_TOKEN` for what is no text, and a function that fails
 */
export function claimOf(claims: JWTPayload, mapping: ClaimMapping, name: string): string | null {
  if (mapping === null) return null
  return typeof mapping === 'function' ? computed(claims, mapping, name) : named(claims, mapping)
}

/** Scopes are one text (RFC 6749 §3.3) or, as several issuers have it, a list of them. */
function taskOf(claims: JWTPayload, mapping: ClaimMapping): string | null {
  if (mapping === null) return null
  if (typeof mapping === 'function') return computed(claims, mapping, 'task')
  const value: unknown = Object.hasOwn(claims, mapping) ? claims[mapping] : null
  if (!Array.isArray(value)) return text(value, `claim "${mapping}"`)
  if (!value.every((scope) => typeof scope === 'string' && SCOPE.test(scope)))
    throw new KestError('ERR_KEST_TOKEN', `claim "${mapping}": expected a list of scopes (RFC 6749 §3.3)`)
  return text(value.join(' '), `claim "${mapping}"`)
}

/** `act.sub`, `act.act.sub`, …: the one acting now first. */
function actorsOf(claims: JWTPayload): string[] {
  const actors: string[] = []
  for (let holder: object = claims; Object.hasOwn(holder, 'act'); ) {
    const act: unknown = (holder as { act: unknown }).act
    if (typeof act !== 'object' || act === null || Array.isArray(act)) {
      throw new KestError('ERR_KEST_TOKEN', 'claim "act" is not an object (RFC 8693 §4.1)')
    }
    if (actors.length === MAX_ACTORS) {
      throw new KestError('ERR_KEST_TOKEN', `claim "act" is nested more than ${MAX_ACTORS} deep`)
    }
    const sub = named(act, 'sub')
    if (sub === null) throw new KestError('ERR_KEST_TOKEN', 'claim "act" names nobody: no "sub" in it')
    actors.push(sub)
    holder = act
  }
  return actors
}

function named(claims: object, name: string): string | null {
  const value: unknown = Object.hasOwn(claims, name) ? (claims as Record<string, unknown>)[name] : null
  return text(value, `claim "${name}"`)
}

function computed(
  claims: JWTPayload,
  mapping: Extract<ClaimMapping, (...args: never) => unknown>,
  name: string,
): string | null {
  let value: unknown
  try {
    value = mapping(claims)
  } catch (cause) {
    throw new KestError('ERR_KEST_TOKEN', `claims.${name}: the function failed`, { cause })
  }
  return text(value ?? null, `claims.${name}`)
}

/**
 * Strings end up in a signed label, which holds Unicode and no lone surrogates (RFC 8785). A name that looks like a pseudonym would
 * be taken for whomever that stands for (K-PSEUDONYM).
 */
function text(value: unknown, what: string): string | null {
  if (value === null || value === '') return null
  if (typeof value !== 'string' || LONE_SURROGATE.test(value)) {
    throw new KestError('ERR_KEST_TOKEN', `${what}: expected a string of Unicode, got ${typeof value}`)
  }
  if (looksLikePseudonym(value))
    throw new KestError(
      'ERR_KEST_TOKEN',
      `${what}: names that begin as pseudonyms do are refused (K-PSEUDONYM)`,
    )
  return value
}
