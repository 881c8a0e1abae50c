import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { KestConfigError } from '../errors.js'

/** Tiers that only the deployment can fill, in the order of evaluation. */
export const DEPLOYMENT_TIERS = ['enterprise', 'platform', 'application'] as const
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

/**
 * What the deployment says, not the application (F-PE-07…09, F-PE-11): policies of the three upper tiers and the
 * deviations from them.
 */
export interface Deployment {
  readonly policies: Readonly<Record<DeploymentTier, readonly string[]>>
  readonly deviations: readonly Deviation[]
}

export const EMPTY_DEPLOYMENT: Deployment = Object.freeze({
  policies: Object.freeze({ enterprise: [], platform: [], application: [] }),
  deviations: Object.freeze([]),
})

/**
 * Reads the deployment file that `KEST_CONFIG` names: YAML, or JSON, which is YAML.
 *
 * ```yaml
 * policies:
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
 * ```
 *
 * @throws {KestConfigError} naming file, path and reason: unreadable, not YAML, an unknown key, a wrong type, a
 * deviation from a policy that its tier does not have.
 */
export function loadDeployment(file: string): Deployment {
  let document: unknown
  try {
    document = parse(readFileSync(file, 'utf8'), { maxAliasCount: 0 })
  } catch (cause) {
    throw new KestConfigError(`${file}: cannot be read as YAML or JSON`, { cause })
  }
  return parseDeployment(document, file)
}

/** As {@link loadDeployment}, from a document already read; `file` is what errors name. */
export function parseDeployment(document: unknown, file: string): Deployment {
  const at = new Reader(file)
  const root = at.object(document ?? {}, '', ['policies', 'deviations'])
  const tiers = at.object(root['policies'] ?? {}, 'policies', DEPLOYMENT_TIERS)
  const policies = Object.freeze({
    enterprise: at.names(tiers['enterprise'], 'policies.enterprise'),
    platform: at.names(tiers['platform'], 'policies.platform'),
    application: at.names(tiers['application'], 'policies.application'),
  })
  const deviations = at
    .array(root['deviations'] ?? [], 'deviations')
    .map((value, index) => parseDeviation(at, value, `deviations[${index}]`, policies))
  return Object.freeze({ policies, deviations: Object.freeze(deviations) })
}

function parseDeviation(
  at: Reader,
  value: unknown,
  path: string,
  policies: Deployment['policies'],
): Deviation {
  const item = at.object(value, path, ['policy', 'tier', 'scope', 'reason', 'approver', 'expires'])
  const tier = at.string(item['tier'], `${path}.tier`) as DeploymentTier
  if (!DEPLOYMENT_TIERS.includes(tier))
    at.fail(`${path}.tier`, `expected one of ${DEPLOYMENT_TIERS.join(', ')}`)
  const policy = at.string(item['policy'], `${path}.policy`)
  if (!policies[tier].includes(policy))
    at.fail(`${path}.policy`, `"${policy}" is not a policy of tier ${tier}`)
  const expiresAt = item['expires'] === undefined ? undefined : at.time(item['expires'], `${path}.expires`)
  return Object.freeze({
    policy,
    tier,
    scope: parseScope(at, item['scope'], `${path}.scope`),
    reason: at.string(item['reason'], `${path}.reason`),
    approver: at.string(item['approver'], `${path}.approver`),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  })
}

function parseScope(at: Reader, value: unknown, path: string): Deviation['scope'] {
  if (typeof value === 'string') return Object.freeze({ operation: at.string(value, path) })
  const scope = at.object(value, path, ['operation', 'workload'])
  const operation = at.string(scope['operation'], `${path}.operation`)
  if (scope['workload'] === undefined) return Object.freeze({ operation })
  return Object.freeze({ operation, workload: at.string(scope['workload'], `${path}.workload`) })
}

/** Typed access to a document; every complaint names file and path. */
class Reader {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  fail(path: string, reason: string): never {
    throw new KestConfigError(`${this.#file}: ${path === '' ? 'document' : path}: ${reason}`)
  }

  object(value: unknown, path: string, keys: readonly string[]): Readonly<Record<string, unknown>> {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      this.fail(path, 'expected an object')
    for (const key of Object.keys(value)) {
      if (!keys.includes(key)) this.fail(path, `unknown key "${key}"; known: ${keys.join(', ')}`)
    }
    return value as Record<string, unknown>
  }

  array(value: unknown, path: string): readonly unknown[] {
    if (!Array.isArray(value)) this.fail(path, 'expected a list')
    return value
  }

  string(value: unknown, path: string): string {
    if (typeof value !== 'string' || value === '') this.fail(path, 'expected a non-empty string')
    return value
  }

  names(value: unknown, path: string): readonly string[] {
    const names = this.array(value ?? [], path).map((name, index) => this.string(name, `${path}[${index}]`))
    if (new Set(names).size !== names.length) this.fail(path, 'a policy is listed twice')
    return Object.freeze(names)
  }

  /** RFC 3339 with a zone; a local time would mean another moment on another machine. */
  time(value: unknown, path: string): number {
    const text = this.string(value, path)
    const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(text)
      ? Date.parse(text)
      : Number.NaN
    if (Number.isNaN(time))
      this.fail(path, 'expected an RFC 3339 time with a zone, such as 2030-01-31T00:00:00Z')
    return time
  }
}
