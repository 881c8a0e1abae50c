import { KestConfigError } from '../errors.js'
import { trustDomainOf } from './trust-domain.js'

/** Who may begin lineage, and what it is worth (K-ROOTS). */
export interface RootRule {
  /** A principal, or a SPIFFE ID that ends in `/*`: all paths below it. */
  readonly workload: string
  /** The most trust that its roots, and its raises, can have. Integer, 0…100. */
  readonly ceiling: number
  /** Whether its roots may state user, agent and task. Default `false`. */
  readonly identity?: boolean | undefined
}

/** A rule whose members are checked and complete. */
export interface CheckedRootRule extends RootRule {
  readonly identity: boolean
}

/** What a principal may begin: of the rules that match it, the least. */
export interface RootGrant {
  readonly ceiling: number
  readonly identity: boolean
}

const MEMBERS: readonly string[] = ['workload', 'ceiling', 'identity']
const BELOW = '/*'
const SPIFFE = /^spiffe:/i
/** No JSON text has one, so no principal has. */
const LONE_SURROGATE = /\p{Surrogate}/u

/** Those who may begin lineage (K-ROOTS). Made by {@link createRootList}. */
export interface RootList {
  /** As they were given. */
  readonly rules: readonly CheckedRootRule[]
  /** What a principal may begin; `undefined`: nothing. */
  grantOf(principal: string): RootGrant | undefined
}

class Rules implements RootList {
  readonly rules: readonly CheckedRootRule[]
  readonly #exact = new Map<string, RootGrant>()
  readonly #below: (readonly [prefix: string, grant: RootGrant])[] = []

  constructor(rules: readonly CheckedRootRule[]) {
    this.rules = rules
    for (const { workload, ceiling, identity } of rules) {
      if (workload.endsWith(BELOW)) this.#below.push([workload.slice(0, -1), { ceiling, identity }])
      else this.#exact.set(workload, least(this.#exact.get(workload), { ceiling, identity }))
    }
  }

  grantOf(principal: string): RootGrant | undefined {
    let grant = this.#exact.get(principal)
    for (const [prefix, one] of this.#below) {
      if (principal.length > prefix.length && principal.startsWith(prefix)) grant = least(grant, one)
    }
    return grant
  }
}

/**
 * Makes a list of those who may begin lineage: for `verifyPassport`, `verifyEvidence` and the audit. Services have it in
 * their deployment file.
 *
 * @param rules of several that match a principal, the least ceiling holds, and `identity` must be true in all; none lets
 *   nobody
 * @throws {KestConfigError} naming the rule and what is wrong with it
 *
 * @example
 * ```ts
 * const roots = createRootList([{ workload: 'spiffe://example.org/edge', ceiling: 40, identity: true }])
 * await verifyPassport(passport, { trust, roots })
 * ```
 */
export function createRootList(rules: readonly RootRule[]): RootList {
  return new Rules(
    parseRootRules(rules, 'roots', (path, why) => {
      throw new KestConfigError(`${path}: ${why}`)
    }),
  )
}

/** A list, of what is one or its rules. */
export function toRootList(roots: RootList | readonly RootRule[]): RootList {
  // Not by instanceof: the list may come from another copy of this package.
  return 'grantOf' in roots ? roots : createRootList(roots)
}

/** What two lists both grant. */
export function bothRootLists(one: RootList, other: RootList): RootList {
  return {
    rules: Object.freeze([...one.rules, ...other.rules]),
    grantOf(principal) {
      const [first, second] = [one.grantOf(principal), other.grantOf(principal)]
      return first === undefined || second === undefined ? undefined : least(first, second)
    },
  }
}

/** Rules whose members are of their types and mean something, frozen; `fail` throws. */
export function parseRootRules(
  rules: unknown,
  path: string,
  fail: (path: string, why: string) => never,
): readonly CheckedRootRule[] {
  if (!Array.isArray(rules)) return fail(path, 'expected a list')
  return Object.freeze(
    rules.map((rule: unknown, index) =>
      parseRootRule(rule, (member, why) => fail(`${path}[${index}]${member}`, why)),
    ),
  )
}

function parseRootRule(rule: unknown, fail: (member: string, why: string) => never): CheckedRootRule {
  if (typeof rule !== 'object' || rule === null || Array.isArray(rule)) return fail('', 'expected an object')
  for (const name of Object.keys(rule)) {
    if (!MEMBERS.includes(name)) fail('', `unknown key "${name}"; known: ${MEMBERS.join(', ')}`)
  }
  const { workload, ceiling, identity = false } = rule as Partial<RootRule>
  if (typeof workload !== 'string' || workload === '') return fail('.workload', 'expected a non-empty string')
  const fault = faultOf(workload)
  if (fault !== undefined) return fail('.workload', fault)
  if (!Number.isInteger(ceiling) || (ceiling as number) < 0 || (ceiling as number) > 100)
    return fail('.ceiling', 'expected an integer from 0 to 100')
  if (typeof identity !== 'boolean') return fail('.identity', 'expected true or false')
  return Object.freeze({ workload, ceiling: ceiling as number, identity })
}

/** A rule that would match nobody, or others than it seems to, is a mistake. */
function faultOf(workload: string): string | undefined {
  if (LONE_SURROGATE.test(workload)) return 'holds a lone surrogate, which no principal has'
  const name = workload.endsWith(BELOW) ? workload.slice(0, -BELOW.length) : workload
  if (SPIFFE.test(name)) {
    if (trustDomainOf(name) === undefined) return 'is spelled like a SPIFFE ID, and is none'
    if (name.endsWith('/')) return 'a SPIFFE ID does not end in "/"'
  } else if (name !== workload) return 'only a SPIFFE ID may end in "/*"'
  return name.includes('*') ? 'a "*" stands only at the end of a SPIFFE ID, after "/"' : undefined
}

function least(one: RootGrant | undefined, other: RootGrant): RootGrant {
  if (one === undefined) return other
  return { ceiling: Math.min(one.ceiling, other.ceiling), identity: one.identity && other.identity }
}
