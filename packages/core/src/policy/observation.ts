import type { DocumentReader } from './document-reader.js'
import type { PolicyTier } from './engine.js'

/** What both kinds of {@link Observation} say. */
interface Observed {
  readonly reason: string
  readonly approver: string
  /** Milliseconds since the epoch from which on refusals are enforced. */
  readonly expiresAt: number
}

/** Refusals by policies that are observed instead of enforced (K-OBSERVE). */
export interface PolicyObservation extends Observed {
  readonly what: 'policy'
  /** Left out: all of `tier`. */
  readonly policies?: readonly string[]
  /** Left out: all. */
  readonly tier?: PolicyTier
  readonly scope: { readonly operation: string; readonly workload?: string } | { readonly all: true }
}

/** Refusals of what a request brought, or did not bring, that are observed instead of enforced (K-OBSERVE). */
export interface LineageObservation extends Observed {
  readonly what: 'lineage'
  readonly scope: { readonly workload: string } | { readonly all: true }
}

export type Observation = PolicyObservation | LineageObservation

/** How far ahead of its reading an observation may end: observing is a way, not a place to stay. */
export const MAX_OBSERVATION_MS = 90 * 86_400_000

const KINDS = ['policy', 'lineage'] as const
const TIERS: readonly PolicyTier[] = ['enterprise', 'platform', 'application', 'function']
const COMMON = ['what', 'scope', 'reason', 'approver', 'expires'] as const

/** Those that were seen to be over: a clock that is set back does not let a refusal be observed again. */
const OVER = new WeakSet<Observation>()

/** Whether refusals are observed at `now`. Once it has answered `false` for an observation it does so for good. */
export function isInForce(observation: Observation, now: number): boolean {
  if (OVER.has(observation)) return false
  if (now < observation.expiresAt) return true
  OVER.add(observation)
  return false
}

/**
 * Reads an item of `observe`.
 *
 * @param listed the policies of a tier, `undefined` where this file does not say
 * @throws {KestConfigError} naming file, path and reason
 */
export function parseObservation(
  at: DocumentReader,
  value: unknown,
  path: string,
  now: number,
  listed: (tier: PolicyTier) => readonly string[] | undefined,
): Observation {
  const item = at.object(value, path, [...COMMON, 'policies', 'tier'])
  const what = at.oneOf(item['what'], `${path}.what`, KINDS)
  const common = {
    reason: at.string(item['reason'], `${path}.reason`),
    approver: at.string(item['approver'], `${path}.approver`),
    expiresAt: parseEnd(at, item['expires'], `${path}.expires`, now),
  }
  if (what === 'lineage') {
    at.object(value, path, COMMON)
    return Object.freeze({ what, ...common, scope: parseWorkload(at, item['scope'], `${path}.scope`) })
  }
  const tier = Object.hasOwn(item, 'tier') ? at.oneOf(item['tier'], `${path}.tier`, TIERS) : undefined
  const policies = Object.hasOwn(item, 'policies')
    ? parsePolicies(at, item['policies'], `${path}.policies`, tier, listed)
    : undefined
  return Object.freeze({
    what,
    ...common,
    scope: parseOperation(at, item['scope'], `${path}.scope`),
    ...(tier !== undefined && { tier }),
    ...(policies !== undefined && { policies }),
  })
}

function parseEnd(at: DocumentReader, value: unknown, path: string, now: number): number {
  const end = at.time(value, path)
  if (end - now <= MAX_OBSERVATION_MS) return end
  return at.fail(path, 'expected a time at most 90 days ahead: observing is temporary (K-OBSERVE)')
}

/** A misspelled policy would be enforced where its author believes that it is observed. */
function parsePolicies(
  at: DocumentReader,
  value: unknown,
  path: string,
  tier: PolicyTier | undefined,
  listed: (tier: PolicyTier) => readonly string[] | undefined,
): readonly string[] {
  const policies = at.names(value, path)
  if (policies.length === 0) at.fail(path, 'expected at least one policy; leave it out for all')
  const known = tier === undefined ? undefined : listed(tier)
  const other = known === undefined ? undefined : policies.find((policy) => !known.includes(policy))
  if (other !== undefined) at.fail(path, `"${other}" is not a policy of tier ${tier}`)
  return policies
}

function parseOperation(at: DocumentReader, value: unknown, path: string): PolicyObservation['scope'] {
  return parseAll(at, value, path) ?? at.scope(value, path)
}

/** The operation is not known yet where lineage is judged. */
function parseWorkload(at: DocumentReader, value: unknown, path: string): LineageObservation['scope'] {
  const all = parseAll(at, value, path)
  if (all !== undefined) return all
  const scope = at.object(value, path, ['workload', 'all'])
  return Object.freeze({ workload: at.string(scope['workload'], `${path}.workload`) })
}

/** `{ all: true }`, said in so many words: a scope that was forgotten is an error. */
function parseAll(at: DocumentReader, value: unknown, path: string): { readonly all: true } | undefined {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'all')) return undefined
  const { all } = at.object(value, path, ['all'])
  if (all !== true) at.fail(`${path}.all`, 'expected true')
  return Object.freeze({ all: true })
}
