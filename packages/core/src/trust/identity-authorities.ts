import { KestConfigError } from '../errors.js'
import type { IdentityContext } from '../passport/verified.js'

/** Of what an identity consists. */
export type IdentityPart = keyof IdentityContext

export const IDENTITY_PARTS: readonly IdentityPart[] = Object.freeze(['user', 'agent', 'task'])

/** Who may state who acts: a principal, for all parts or for some (K-SWITCH). */
export type IdentityAuthority =
  | string
  | { readonly principal: string; readonly parts: readonly IdentityPart[] }

/** Principal → the parts that it may state. */
export type IdentityAuthorities = ReadonlyMap<string, ReadonlySet<IdentityPart>>

/**
 * A list of identity authorities, as options have it. One that is named twice has the parts of both.
 * @returns `null` when there is none
 * @throws {KestConfigError} for anything but a list of principals, or of `{ principal, parts }`
 */
export function toIdentityAuthorities(option: string, value: unknown): IdentityAuthorities | null {
  if (value === undefined) return null
  if (!Array.isArray(value)) throw wrong(option)
  const authorities = new Map<string, Set<IdentityPart>>()
  for (const one of value) {
    const { principal, parts } = authorityIn(option, one)
    const known = authorities.get(principal) ?? new Set()
    for (const part of parts) known.add(part)
    authorities.set(principal, known)
  }
  return authorities
}

function authorityIn(option: string, one: unknown): Exclude<IdentityAuthority, string> {
  if (typeof one === 'string' && one !== '') return { principal: one, parts: IDENTITY_PARTS }
  if (typeof one !== 'object' || one === null) throw wrong(option)
  const { principal, parts, ...others } = one as Record<string, unknown>
  if (typeof principal !== 'string' || principal === '' || Object.keys(others).length > 0) throw wrong(option)
  if (!Array.isArray(parts) || parts.length === 0 || !parts.every((part) => IDENTITY_PARTS.includes(part)))
    throw new KestConfigError(`${option}: parts: expected some of ${IDENTITY_PARTS.join(', ')}`)
  return { principal, parts }
}

function wrong(option: string): KestConfigError {
  return new KestConfigError(`${option}: expected a list of principals, or of { principal, parts }`)
}
