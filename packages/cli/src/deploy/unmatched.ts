import type { Readable } from 'node:stream'
import type { ExportedSpan } from '@kest/audit'
import {
  createRootList,
  type Deployment,
  type KestEntry,
  KestError,
  LABEL,
  type Observation,
  parseEntry,
  resolveLimits,
} from '@kest/core'
import { spansAt } from '../audit/spans-at.js'
import { InputError } from '../files/input-error.js'
import type { Warning } from './warning.js'

/** What a span says was done. Nothing of it is verified here. */
interface Done {
  readonly operation: string
  readonly workload: string
  /** What was asked; `null` of a denial, which does not say. */
  readonly policies: ReadonlySet<string> | null
  readonly isRoot: boolean
}

/** An item of the file that waits for something in the spans that it is about. */
interface Waiting {
  readonly at: string
  readonly message: string
  matches(done: Done): boolean
}

/**
 * Deviations, observations and roots that nothing in recorded spans is about: a name that is misspelled, or is no more.
 *
 * @throws {InputError} when a path cannot be read
 */
export async function unmatched(
  deployment: Deployment,
  paths: readonly string[],
  stdin: Readable,
): Promise<Warning[]> {
  let waiting = itemsOf(deployment)
  const unread = new Map<string, Warning>()
  try {
    for await (const { spans, findings } of spansAt(paths, stdin)) {
      for (const { severity, place, message } of findings)
        if (severity === 'error' && unread.size < MAX_UNREAD)
          unread.set(place ?? '', { code: 'unread-spans', at: place ?? '--spans', message })
      for (const span of spans) {
        if (waiting.length === 0) break
        const done = doneIn(span)
        if (done !== null) waiting = waiting.filter((item) => !item.matches(done))
      }
    }
  } catch (cause) {
    if (!(cause instanceof KestError)) throw cause
    throw new InputError(`--spans: ${cause.message}`, { cause })
  }
  const warnings = waiting.map(({ at, message }): Warning => ({ code: 'unmatched', at, message }))
  return [...unread.values(), ...warnings]
}

const LIMITS = { limits: resolveLimits() }
/** Files that are named of which some cannot be read. */
const MAX_UNREAD = 20

function itemsOf({ deviations, observe = [], roots }: Deployment): Waiting[] {
  return [
    ...deviations.map(({ scope, policy, tier }, index) => ({
      at: `deviations[${index}]`,
      message: `no span is of ${scopeText(scope)}, which it exempts from ${policy} of tier ${tier}`,
      matches: (done: Done) => isIn(scope, done),
    })),
    ...observe.map((one, index) => ({
      at: `observe[${index}]`,
      message: `no span is of ${scopeText(one.scope)}${one.what === 'policy' && one.policies !== undefined ? ` with ${one.policies.join(' or ')}` : ''}`,
      matches: (done: Done) => isIn(one.scope, done) && isAsked(one, done),
    })),
    ...(roots?.rules ?? []).map((rule, index) => {
      const list = createRootList([rule])
      return {
        at: `roots[${index}]`,
        message: `no span is of lineage that ${rule.workload} began`,
        matches: (done: Done) => done.isRoot && list.grantOf(done.workload) !== undefined,
      }
    }),
  ]
}

type Scope = Observation['scope']

function isIn(scope: Scope, { operation, workload }: Done): boolean {
  if ('all' in scope) return true
  if ('operation' in scope && scope.operation !== operation) return false
  return scope.workload === undefined || scope.workload === workload
}

function isAsked(one: Observation, { policies }: Done): boolean {
  if (one.what === 'lineage' || one.policies === undefined || policies === null) return true
  return one.policies.some((policy) => policies.has(policy))
}

function scopeText(scope: Scope): string {
  if ('all' in scope) return 'anything'
  const of = scope.workload === undefined ? '' : ` of ${scope.workload}`
  return 'operation' in scope ? `${scope.operation}${of}` : `anything${of}`
}

function doneIn({ claims }: ExportedSpan): Done | null {
  const { signature, operation, workloadId, decision } = claims
  if (typeof signature === 'string') {
    try {
      return doneBy(parseEntry(signature, LIMITS).entry)
    } catch (error) {
      if (error instanceof KestError) return null
      throw error
    }
  }
  if (decision !== 'deny' || typeof operation !== 'string' || typeof workloadId !== 'string') return null
  return { operation, workload: workloadId, policies: null, isRoot: false }
}

function doneBy({ operation, labels, parent_ids, policy_context: asked }: KestEntry): Done {
  const { enterprise_policies, platform_policies, app_policies, function_policies, deviations } = asked
  return {
    operation,
    workload: labels[LABEL.principal] ?? '',
    policies: new Set([
      ...enterprise_policies,
      ...platform_policies,
      ...app_policies,
      ...function_policies,
      ...deviations.map(({ policy }) => policy),
    ]),
    isRoot: parent_ids.length === 1 && parent_ids[0] === '0',
  }
}
