import { KestConfigError } from '@kest/core'

/** Where in Rego a policy lies, by its name: a record, or a function. A name that a record lacks is its own path. */
export type PolicyPaths = Readonly<Record<string, string>> | ((policy: string) => string)

const PATH = /^[^/?#\s]+(\/[^/?#\s]+)*$/

/**
 * The path of a policy: `orders/read` is the document `data.orders.read`, a rule or a whole package.
 *
 * @throws {KestConfigError} for paths that are not such
 */
export function createPathOf(where: string, paths: PolicyPaths = {}): (policy: string) => string {
  if (typeof paths === 'function') return (policy) => toPath(where, policy, paths(policy))
  if (typeof paths !== 'object' || paths === null) {
    throw new KestConfigError(`${where}.paths: expected a record or a function`)
  }
  const known = new Map(
    Object.entries(paths).map(([policy, path]) => [policy, toPath(where, policy, path)] as const),
  )
  return (policy) => known.get(policy) ?? policy
}

/** A leading slash is allowed and means nothing. @throws {KestConfigError} */
function toPath(where: string, policy: string, path: unknown): string {
  const bare = typeof path === 'string' ? path.replace(/^\//, '') : ''
  if (PATH.test(bare)) return bare
  throw new KestConfigError(`${where}.paths: policy "${policy}": expected a path like "orders/read"`)
}
