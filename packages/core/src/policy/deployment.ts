import { type Document, parseDocument, visit } from 'yaml'
import { KestConfigError } from '../errors.js'
import { createRootList, parseRootRules, type RootList } from '../trust/root-list.js'
import { DocumentReader } from './document-reader.js'
import type { PolicyTier } from './engine.js'
import { type Observation, parseObservation } from './observation.js'

/** Tiers that only the deployment can fill, in the order of evaluation. */
export const DEPLOYMENT_TIERS = Object.freeze(['enterprise', 'platform', 'application'] as const)
export type DeploymentTier = (typeof DEPLOYMENT_TIERS)[number]

/** An exemption of one operation from one policy (F-PE-11). It exempts from no recording (F-PE-13). */
export interface Deviation {
  readonly policy: string
  readonly tier: DeploymentTier
  /** Operation, and optionally the only workload, that it exempts. */
  readonly scope: { readonly operation: string; readonly workload?: string }
  readonly reason: string
  readonly approver: string
  /** Milliseconds since the epoch from which on it exempts nothing. */
  readonly expiresAt?: number
}

/** What becomes of a request whose lineage somebody began who is not listed (K-ROOTS). */
const ROOTS_POLICIES = ['report', 'refuse'] as const
export type RootsPolicy = (typeof ROOTS_POLICIES)[number]

/**
 * What the deployment says, not the application (F-PE-07…09, F-PE-11): policies of the three upper tiers, the
 * deviations from them, who may begin lineage (K-ROOTS), and which refusals are only observed (K-OBSERVE).
 */
export interface Deployment {
  readonly policies: Readonly<Record<DeploymentTier, readonly string[]>>
  readonly deviations: readonly Deviation[]
  /** Without it whoever is accepted may begin lineage. */
  readonly roots?: RootList
  /** `report`, the default: an unlisted root is worth nothing, and that is logged. `refuse`: so is the request. */
  readonly rootsPolicy?: RootsPolicy
  /** Without it everything is enforced. */
  readonly observe?: readonly Observation[]
}

const MEMBERS: readonly string[] = ['policies', 'deviations', 'roots', 'rootsPolicy', 'observe']

export const EMPTY_DEPLOYMENT: Deployment = Object.freeze({
  policies: Object.freeze({
    enterprise: Object.freeze([]),
    platform: Object.freeze([]),
    application: Object.freeze([]),
  }),
  deviations: Object.freeze([]),
})

/**
 * Parses the text of a deployment file: YAML, or JSON, which is YAML. `schemas/deployment.json` describes it for editors.
 *
 * ```yaml
 * policies:                                          # required, so that a file cut short does not mean "none"
 *   enterprise: [acme/no-embargoed-countries]
 *   platform: [platform/minimum-trust]
 *   application: []
 * deviations:
 *   - policy: platform/minimum-trust
 *     tier: platform
 *     scope: { operation: payments.refund, workload: spiffe://example.org/payments }   # or just the operation
 *     reason: refunds of 2019 orders come in without an origin
 *     approver: security@example.org
 *     expires: 2030-01-31T00:00:00Z                                                    # optional
 * roots:                                             # who may begin lineage; left out: whoever is accepted
 *   - workload: spiffe://example.org/edge            # or spiffe://example.org/jobs/*, all paths below
 *     ceiling: 40                                    # the most that it is trusted then
 *     identity: true                                 # whether it may state a user; default false
 * rootsPolicy: refuse                                # default: report
 * observe:                                           # refusals that are recorded, and not made; left out: none
 *   - what: policy
 *     policies: [platform/minimum-trust]             # left out: all
 *     tier: platform                                 # left out: all
 *     scope: { operation: payments.refund }          # as of deviations, or { all: true }
 *     reason: its callers have no lineage yet
 *     approver: security@example.org
 *     expires: 2030-01-31T00:00:00Z                  # at most 90 days ahead
 *   - what: lineage
 *     scope: { workload: spiffe://example.org/payments }   # or { all: true }
 *     reason: its callers have no lineage yet
 *     approver: security@example.org
 *     expires: 2030-01-31T00:00:00Z
 * ```
 *
 * @param file what errors name
 * @param now when it is read, milliseconds since the epoch: an observation ends at most 90 days later
 * @throws {KestConfigError} naming file, path and reason: not YAML, anything that YAML only warns of, an unknown key, a
 * wrong type, a deviation from a policy that its tier does not have, an observation without an end.
 */
export function parseDeployment(text: string, file: string, now = Date.now()): Deployment {
  const at = new DocumentReader(file)
  const root = at.object(parseYaml(text, file), '', MEMBERS)
  const tiers = at.object(root['policies'], 'policies', DEPLOYMENT_TIERS)
  const policiesOf = (tier: DeploymentTier): readonly string[] =>
    at.names(Object.hasOwn(tiers, tier) ? tiers[tier] : [], `policies.${tier}`)
  const policies = Object.freeze({
    enterprise: policiesOf('enterprise'),
    platform: policiesOf('platform'),
    application: policiesOf('application'),
  })
  const deviations = at
    .array(Object.hasOwn(root, 'deviations') ? root['deviations'] : [], 'deviations')
    .map((value, index) => parseDeviation(at, value, `deviations[${index}]`, policies))
  return Object.freeze({
    policies,
    deviations: Object.freeze(deviations),
    ...parseRoots(at, root),
    ...parseObserve(at, root, policies, now),
  })
}

function parseObserve(
  at: DocumentReader,
  root: Readonly<Record<string, unknown>>,
  policies: Deployment['policies'],
  now: number,
): Pick<Deployment, 'observe'> {
  if (!Object.hasOwn(root, 'observe')) return {}
  const listed = (tier: PolicyTier) => (tier === 'function' ? undefined : policies[tier])
  const observe = at
    .array(root['observe'], 'observe')
    .map((value, index) => parseObservation(at, value, `observe[${index}]`, now, listed))
  return { observe: Object.freeze(observe) }
}

function parseRoots(
  at: DocumentReader,
  root: Readonly<Record<string, unknown>>,
): Pick<Deployment, 'roots' | 'rootsPolicy'> {
  const stated = Object.hasOwn(root, 'rootsPolicy')
  if (!Object.hasOwn(root, 'roots'))
    return stated ? at.fail('rootsPolicy', 'means nothing without "roots"') : {}
  const roots = createRootList(parseRootRules(root['roots'], 'roots', (path, why) => at.fail(path, why)))
  if (!stated) return { roots }
  return { roots, rootsPolicy: at.oneOf(root['rootsPolicy'], 'rootsPolicy', ROOTS_POLICIES) }
}

/**
 * The roots that a file lists, for those who judge what services have recorded: a deployment file, or a document that has
 * nothing but `roots`.
 *
 * @param file what errors name
 * @throws {KestConfigError} naming file, path and reason; also for a deployment file that lists none
 *
 * @example
 * ```ts
 * const roots = parseRootsFile(await readFile('kest.yaml', 'utf8'), 'kest.yaml')
 * await verifyPassport(passport, { trust, roots })
 * ```
 */
export function parseRootsFile(text: string, file: string): RootList {
  const at = new DocumentReader(file)
  const document = parseYaml(text, file)
  const isDeployment =
    typeof document === 'object' && document !== null && Object.hasOwn(document, 'policies')
  const { roots } = isDeployment
    ? parseDeployment(text, file)
    : parseRoots(at, at.object(document, '', ['roots', 'rootsPolicy']))
  return roots ?? at.fail('roots', 'expected a list')
}

/**
 * Strictly: what YAML would let pass with a warning is an error here, and so are tags and directives, by which a document would
 * mean something else than it shows.
 */
function parseYaml(text: string, file: string): unknown {
  const document = parseDocument(text)
  const [problem] = [...document.errors, ...document.warnings]
  if (problem !== undefined)
    throw new KestConfigError(`${file}: not YAML or JSON: ${problem.message.split('\n')[0]}`, {
      cause: problem,
    })
  if (document.directives?.yaml.explicit)
    throw new KestConfigError(`${file}: not YAML or JSON: the directive %YAML is not supported`)
  const tag = firstTag(document)
  if (tag !== undefined)
    throw new KestConfigError(`${file}: not YAML or JSON: tags are not supported: ${tag}`)
  try {
    return document.toJS({ maxAliasCount: 0 })
  } catch (cause) {
    throw new KestConfigError(`${file}: not YAML or JSON: ${(cause as Error).message}`, { cause })
  }
}

function firstTag(document: Document): string | undefined {
  let found: string | undefined
  visit(document, {
    Node(_key, { tag }) {
      found = tag
      return tag === undefined ? undefined : visit.BREAK
    },
  })
  return found
}

function parseDeviation(
  at: DocumentReader,
  value: unknown,
  path: string,
  policies: Deployment['policies'],
): Deviation {
  const item = at.object(value, path, ['policy', 'tier', 'scope', 'reason', 'approver', 'expires'])
  const tier = at.oneOf(item['tier'], `${path}.tier`, DEPLOYMENT_TIERS)
  const policy = at.string(item['policy'], `${path}.policy`)
  if (!policies[tier].includes(policy))
    at.fail(`${path}.policy`, `"${policy}" is not a policy of tier ${tier}`)
  const expiresAt = Object.hasOwn(item, 'expires') ? at.time(item['expires'], `${path}.expires`) : undefined
  return Object.freeze({
    policy,
    tier,
    scope: at.scope(item['scope'], `${path}.scope`),
    reason: at.string(item['reason'], `${path}.reason`),
    approver: at.string(item['approver'], `${path}.approver`),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  })
}
