import { type BoundPart, type HopOptions, resolveHop } from '../binding/bound-request.js'
import { getActiveKest } from '../config/active.js'
import type { Kest } from '../config/kest.js'
import type { KestState } from '../context/state.js'
import { KestConfigError } from '../errors.js'
import { createOutbound, type Outbound } from '../propagation/outbound.js'
import type { PropagateTo } from '../propagation/scope.js'
import { parseRedirects, type Redirects } from './redirects.js'

/** Who gets the passport, and whose. */
export interface PropagationRule {
  /** Which origins receive the passport: there is no default (K-SCOPE). */
  readonly propagateTo: PropagateTo
  /**
   * Whether each request carries a token for the origin called, signed by the identity of `kest`, for receivers with
   * `binding: 'hop'` (K-HOP); and what of the request each is bound to: `{ bind: ['method', 'path', 'body'] }` (K-BODY).
   * Default `false`.
   */
  readonly hop?: boolean | HopOptions | undefined
  /** Default: the instance of `configure()`, as it is at the time of each request. */
  readonly kest?: Pick<Kest, 'outbound'> | undefined
  /**
   * What happens to a request that follows a redirect and would carry a passport: `'refuse'`, the default, fails it with
   * `ERR_KEST_OUTBOUND`; `'follow'` sends it, judged by itself as any other (K-REDIRECT).
   */
  readonly redirects?: Redirects | undefined
}

/** {@link PropagationRule}, and whose passport. */
export interface BoundRule extends PropagationRule {
  /**
   * Whose passport each request carries, wherever it is made (K-STATE): such as `request.kest.state`. Requests in scope
   * fail with `ERR_KEST_STATE_ENDED` when it is over. Default: the ambient state of each request.
   */
  readonly state?: KestState
}

/** A rule that was checked. */
export interface Sender {
  /** The side for a request to `url`. Throws a `KestConfigError` when it needs an instance and there is none. */
  outbound(url: URL): Outbound
  readonly redirects: Redirects
  /** What of each request its hop token is bound to (K-BODY). */
  readonly binds: ReadonlySet<BoundPart>
  /** Whose passport it is always; `undefined` for the ambient one. */
  readonly state: KestState | undefined
}

/** Without an instance there is no operator to speak to. */
const NOWHERE = Object.freeze({ debug() {}, info() {}, warn() {}, error() {} })

/**
 * Checks a rule, for a client that asks it of each of its requests.
 * @throws {KestConfigError} when `propagateTo` is missing or wrong, `kest` is not an instance, `state` is no state, or
 *   `redirects` is unknown
 */
export function createSender(rule: BoundRule): Sender {
  const ambient = createAmbientSender(rule)
  const redirects = parseRedirects(rule.redirects)
  const binds = resolveHop('hop', rule.hop)?.bind ?? new Set()
  if (!Object.hasOwn(rule, 'state')) return { outbound: ambient, redirects, binds, state: undefined }
  const { state } = rule
  // None would mean the ambient one, which is what is not wanted.
  if (typeof state?.lifetime?.ended !== 'boolean')
    throw new KestConfigError('state: expected a state of Kest, such as request.kest.state')
  function outbound(url: URL): Outbound {
    const { allows, bodyLimit, baggage, depart, bypassed } = ambient(url)
    return {
      allows,
      binds,
      bodyLimit: (target, given = state) => bodyLimit(target, given),
      baggage: (lines, target, given = state, sent?) => baggage(lines, target, given, sent),
      depart: (lines, target, given = state, sent?) => depart(lines, target, given, sent),
      bypassed: (target, given = state) => bypassed(target, given),
    }
  }
  return { outbound, redirects, binds, state }
}

function createAmbientSender({ propagateTo, hop: given = false, kest }: PropagationRule): Sender['outbound'] {
  if (propagateTo === undefined) {
    throw new KestConfigError(
      'propagateTo: say which origins receive the passport (K-SCOPE); there is no default',
    )
  }
  resolveHop('hop', given)
  // The rule is what it was when it was checked.
  const hop = typeof given === 'boolean' ? given : structuredClone(given)
  const rule = Array.isArray(propagateTo) ? [...propagateTo] : propagateTo
  // Without an instance there is no passport; what is left to do is to let none of anyone's through.
  const bare = createOutbound({ propagateTo: rule, logger: NOWHERE })
  if (kest !== undefined) {
    if (typeof kest?.outbound !== 'function')
      throw new KestConfigError('kest: expected an instance of createKest()')
    const outbound = kest.outbound({ propagateTo: rule, hop })
    return () => outbound
  }

  let last: { readonly kest: Kest; readonly outbound: Outbound } | undefined
  return (url) => {
    const active = activeKest(() => bare.allows(url))
    if (active === null) return bare
    if (last?.kest !== active) last = { kest: active, outbound: active.outbound({ propagateTo: rule, hop }) }
    return last.outbound
  }
}

/** An application may call others before it calls `configure()`, but nobody who is to receive a passport. */
function activeKest(needed: () => boolean): Kest | null {
  try {
    return getActiveKest()
  } catch (error) {
    if (needed()) throw error
    return null
  }
}
