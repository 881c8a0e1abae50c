import { assertOptions } from '../assert-options.js'
import {
  BINDING_OPTIONS,
  type BindingOptions,
  type MessageBindingOptions,
  type RequestBinding,
  type ResolvedBinding,
  resolveBinding,
  resolveMessageBinding,
} from '../binding/binding-options.js'
import { KestConfigError } from '../errors.js'
import type { TokenOptions } from '../tokens/token-options.js'
import {
  type IdentityAuthorities,
  type IdentityAuthority,
  toIdentityAuthorities,
} from '../trust/identity-authorities.js'
import { isReserved } from '../trust/reserved.js'
import { toPrincipals } from '../trust/to-principals.js'

/** What is granted to a foreign trust domain (K-DOMAIN). */
export interface TrustDomainOptions {
  /** The most that data from, or through, this domain is trusted. Integer, 0…100; default 60. */
  readonly ceiling?: number | undefined
  /** Whether its principals may raise trust and remove taints (K-EFF). Default `false`. */
  readonly raiser?: boolean | undefined
  /** Whether its principals may state user, agent and task, in roots and later (K-IDENT, K-SWITCH). Default `false`. */
  readonly identityAuthority?: boolean | undefined
}

/** How a {@link createListener | listener} judges requests. Every default is the strict one. */
export interface ListenerOptions extends ListenerRules, BindingOptions {}

/** As {@link ListenerOptions}, of messages. */
export interface MessageListenerOptions extends ListenerRules, MessageBindingOptions {}

/** How what comes in is judged, whatever carries it. */
export interface ListenerRules {
  /**
   * Makes the listener an *edge*: requests from outside begin here, and a root made for one has the trust of this
   * origin (`'user_input'`, `'internet'`, …). Every inbound `kest.*` member is removed (K-EDGE). Without it the
   * listener is *internal*: a request without verified lineage is refused (K-ROOT).
   */
  readonly origin?: string | undefined
  /**
   * For an edge that takes lineage from a partner: a request with `kest.*` members is judged as at an internal
   * listener, and one without begins here. It must know who sends them, so it needs a `binding` (K-EDGE). Default
   * `false`.
   */
  readonly acceptLineage?: boolean | undefined
  /**
   * What becomes of a request that brings no `kest.*` member at all. `required` (default) refuses it (K-ROOT). `optional` lets
   * it in as a root that is worth nothing, for listeners that are called both with and without lineage (K-OPTIONAL): its
   * trust is 0, whatever evaluator, `trustOverride` or `origin` an operation has, the taint `kest.unproven` is in effect, and
   * nobody acts in it but whom a token names. What does bring a member is judged as ever, and refused if it does not hold.
   *
   * Whoever drops the lineage that he received sheds its taints by it: policies that deny by taint should deny
   * `kest.unproven`, too.
   */
  readonly lineage?: 'required' | 'optional' | undefined
  /**
   * `full` (default) verifies every signature. `tip` verifies those of the tips alone: their ancestors raise no trust,
   * remove no taint and state no identity. `off` verifies none and believes nothing: trust 0, taint `unverified`, no
   * identity (K-INGRESS).
   */
  readonly mode?: 'full' | 'tip' | 'off' | undefined
  /** Oldest tip that is accepted: a bound on replay (K-FRESH). Default 3,600,000; a job may need more (K-RESUME). */
  readonly maxAgeMs?: number | undefined
  /**
   * How long operations begin and calls leave in the state of a request, however long it takes, milliseconds (K-STATE):
   * a bound for those that are never ended, such as a WebSocket's. The `exp` of its token is another. Default: `maxAgeMs`.
   */
  readonly maxStateMs?: number | undefined
  /**
   * Oldest root that is accepted: a fresh entry does not refresh what it hangs on (K-FRESH). Default 86,400,000 (24 hours), or
   * `maxAgeMs` where that is more. Who receives what a job sends must cover its age, too.
   */
  readonly maxLineageAgeMs?: number | undefined
  /** How far ahead of this clock a tip may be. Default 60,000. */
  readonly maxAheadMs?: number | undefined
  /** `any` accepts passports of several traces, for jobs that merge requests (K-TRACE). Default `single`. */
  readonly traces?: 'single' | 'any' | undefined
  /**
   * What happens to a passport whose entries claim more trust, or fewer taints, than their lineage gives: `report`
   * (default) ignores the claim and logs it, `enforce` refuses the request (K-SEM).
   */
  readonly semantics?: 'report' | 'enforce' | undefined
  /**
   * Principals that may raise trust and remove taints (K-EFF), beside the domains in `trustDomains` that may. Default:
   * those of this workload's own trust domain, and itself.
   */
  readonly raisers?: readonly string[] | undefined
  /**
   * Principals that may state another user, agent or task than their lineage has (K-SWITCH), all parts or some
   * (`{ principal, parts }`), beside the domains in `trustDomains` that may. Default: none but this workload itself.
   *
   * Whose *roots* may state one is said by the deployment's list (`roots[].identity`). Where there is none it is these
   * principals, by default all but those of other trust domains (K-IDENT).
   */
  readonly identityAuthorities?: readonly IdentityAuthority[] | undefined
  /**
   * Other SPIFFE trust domains whose principals are accepted, by name (`partner.example`). Default: none (K-DOMAIN).
   * Principals that are no SPIFFE IDs belong to no domain; the trust material names each of them.
   */
  readonly trustDomains?: Readonly<Record<string, TrustDomainOptions>> | undefined
  /** Verifies bearer tokens (F-IC-05), of one issuer or of each in a list. Default: tokens are not looked at. */
  readonly token?: TokenOptions | readonly TokenOptions[] | undefined
}

/** A foreign trust domain with its defaults. */
export type TrustDomainRule = Required<TrustDomainOptions>

/** Listener options with their defaults, all of them checked. */
export interface ResolvedListenerOptions<Binding extends ResolvedBinding = ResolvedBinding> {
  readonly origin: string | null
  readonly acceptLineage: boolean
  readonly lineage: 'required' | 'optional'
  readonly binding: Binding
  readonly mode: 'full' | 'tip' | 'off'
  readonly maxAgeMs: number
  readonly maxStateMs: number
  readonly maxLineageAgeMs: number
  readonly maxAheadMs: number
  readonly traces: 'single' | 'any'
  readonly semantics: 'report' | 'enforce'
  readonly raisers: ReadonlySet<string> | null
  readonly identityAuthorities: IdentityAuthorities | null
  readonly trustDomains: ReadonlyMap<string, TrustDomainRule>
  readonly token: TokenOptions | readonly TokenOptions[] | null
}

const OPTIONS: ReadonlySet<string> = new Set([
  'origin',
  'acceptLineage',
  'lineage',
  'mode',
  'maxAgeMs',
  'maxStateMs',
  'maxLineageAgeMs',
  'maxAheadMs',
  'traces',
  'semantics',
  'raisers',
  'identityAuthorities',
  'trustDomains',
  'token',
  ...BINDING_OPTIONS,
])
/** What only means something where lineage is read. */
const INTERNAL: readonly (keyof ListenerOptions)[] = [
  'lineage',
  'mode',
  'maxAgeMs',
  'maxLineageAgeMs',
  'maxAheadMs',
  'traces',
  'semantics',
  'raisers',
  'identityAuthorities',
  'trustDomains',
  ...BINDING_OPTIONS,
]

/** How old a root may be where nobody says otherwise (K-FRESH): a day. */
export const DEFAULT_LINEAGE_AGE_MS = 86_400_000

/** SPIFFE ID §2.1: a trust domain's name. */
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/

/**
 * Checks listener options and fills in the defaults. Token options are checked by `createTokenVerifier`.
 * @throws {KestConfigError} for an option that is unknown, wrong, or without meaning beside another.
 */
export function resolveListenerOptions(options: ListenerOptions): ResolvedListenerOptions<RequestBinding> {
  return resolveWith(options, () => resolveBinding(options))
}

/**
 * As {@link resolveListenerOptions}, of messages.
 * @throws {KestConfigError}
 */
export function resolveMessageListenerOptions(options: MessageListenerOptions): ResolvedListenerOptions {
  return resolveWith(options, (maxAgeMs) => resolveMessageBinding(options, maxAgeMs))
}

function resolveWith<Binding extends ResolvedBinding>(
  options: ListenerOptions | MessageListenerOptions,
  bindingOf: (maxAgeMs: number) => Binding,
): ResolvedListenerOptions<Binding> {
  assertOptions('listener', options, OPTIONS)
  const { origin, acceptLineage = false } = options
  if (origin !== undefined && (typeof origin !== 'string' || origin === '')) {
    throw invalid('origin', 'a non-empty string')
  }
  if (origin !== undefined && isReserved(origin))
    throw new KestConfigError(
      `listener.origin: "${origin}": names that begin with "kest." are reserved (K-RESERVED)`,
    )
  if (typeof acceptLineage !== 'boolean') throw invalid('acceptLineage', 'a boolean')
  if (acceptLineage && origin === undefined) {
    throw new KestConfigError(
      'listener.acceptLineage: an internal listener takes lineage anyway; the option is for edges (K-EDGE)',
    )
  }
  if (origin !== undefined && !acceptLineage) {
    const idle = INTERNAL.find((name) => (options as ListenerOptions)[name] !== undefined)
    if (idle !== undefined) {
      throw new KestConfigError(
        `listener.${idle}: means nothing at an edge, where no lineage is read (K-EDGE)`,
      )
    }
  }
  if (acceptLineage && options.lineage !== undefined) {
    throw new KestConfigError(
      'listener.lineage: means nothing at an edge, where what comes without lineage begins (K-EDGE)',
    )
  }
  const lineage = oneOf(options.lineage ?? 'required', ['required', 'optional'], 'lineage')
  const mode = oneOf(options.mode ?? 'full', ['full', 'tip', 'off'], 'mode')
  const maxAgeMs = milliseconds(options.maxAgeMs ?? 3_600_000, 'maxAgeMs')
  const binding = bindingOf(maxAgeMs)
  if (acceptLineage && binding.kind === 'none') {
    throw new KestConfigError(
      'listener.acceptLineage: an edge that takes lineage must know its sender (K-EDGE): set binding to "mtls" or "hop" (K-HOP), of messages to "message"',
    )
  }
  if (mode === 'off' && binding.kind !== 'none') {
    throw new KestConfigError(
      'listener.binding: means nothing with mode "off", where no principal is proven (K-HOP)',
    )
  }
  return Object.freeze({
    origin: origin ?? null,
    acceptLineage,
    lineage,
    binding,
    mode,
    maxAgeMs,
    maxStateMs: milliseconds(options.maxStateMs ?? maxAgeMs, 'maxStateMs'),
    maxLineageAgeMs: milliseconds(
      options.maxLineageAgeMs ?? Math.max(maxAgeMs, DEFAULT_LINEAGE_AGE_MS),
      'maxLineageAgeMs',
    ),
    maxAheadMs: milliseconds(options.maxAheadMs ?? 60_000, 'maxAheadMs'),
    traces: oneOf(options.traces ?? 'single', ['single', 'any'], 'traces'),
    semantics: oneOf(options.semantics ?? 'report', ['report', 'enforce'], 'semantics'),
    raisers: toPrincipals('listener.raisers', options.raisers),
    identityAuthorities: toIdentityAuthorities('listener.identityAuthorities', options.identityAuthorities),
    trustDomains: trustDomains(options.trustDomains ?? {}),
    token: options.token ?? null,
  })
}

function trustDomains(value: unknown): ReadonlyMap<string, TrustDomainRule> {
  if (!isRecord(value)) {
    throw invalid('trustDomains', 'an object: name of a trust domain → what it is granted')
  }
  const rules = new Map<string, TrustDomainRule>()
  for (const [domain, given] of Object.entries(value)) {
    const where = `trustDomains["${domain}"]`
    if (!TRUST_DOMAIN.test(domain)) {
      throw invalid(where, 'the name of a SPIFFE trust domain, such as "partner.example"')
    }
    if (!isRecord(given)) throw invalid(where, 'an object')
    const {
      ceiling = 60,
      raiser = false,
      identityAuthority = false,
      ...unknown
    } = given as TrustDomainOptions
    const [extra] = Object.keys(unknown)
    if (extra !== undefined) throw new KestConfigError(`listener.${where}: unknown option "${extra}"`)
    if (!Number.isInteger(ceiling) || ceiling < 0 || ceiling > 100) {
      throw invalid(`${where}.ceiling`, 'an integer from 0 to 100')
    }
    if (typeof raiser !== 'boolean') throw invalid(`${where}.raiser`, 'a boolean')
    if (typeof identityAuthority !== 'boolean') throw invalid(`${where}.identityAuthority`, 'a boolean')
    rules.set(domain, Object.freeze({ ceiling, raiser, identityAuthority }))
  }
  return rules
}

function oneOf<T extends string>(value: T, allowed: readonly T[], option: string): T {
  if (!allowed.includes(value)) throw invalid(option, `one of ${allowed.join(', ')}`)
  return value
}

function milliseconds(value: unknown, option: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw invalid(option, 'a number of milliseconds, an integer')
  }
  return value as number
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(option: string, expected: string): KestConfigError {
  return new KestConfigError(`listener.${option}: expected ${expected}`)
}
