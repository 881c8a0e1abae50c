import { assertOptions } from '../assert-options.js'
import { KestConfigError } from '../errors.js'
import type { TrustDomainOptions } from '../ingress/listener-options.js'
import { compileScope } from '../propagation/scope.js'

/** What a caller asks of whom it calls (K-RECEIPT). */
export interface ReceiptOptions {
  /**
   * `off` (default): nothing is asked. `accept`: each request to an origin in `from` asks for a receipt; one that is wrong fails
   * the call with `ERR_KEST_RECEIPT`, and that there is none is counted. `require`: there must be one, also of origins that
   * `from` does not name, to which nothing is sent.
   *
   * Of a call that fails so nobody knows whether it was acted on.
   */
  readonly mode?: 'off' | 'accept' | 'require' | undefined
  /**
   * Who may sign for which origin: an exact origin, or `https://*.svc.local`, as in `propagateTo`, and its principals. Needed
   * unless `mode` is `off`. Origins that match several have the principals of all.
   */
  readonly from?: Readonly<Record<string, string | readonly string[]>> | undefined
  /**
   * Whether what comes next takes over what the callee's entry is worth: the caller's next entry has its taints (at most 32; the
   * taint `kest.receipt-taints` stands for more) and at most its trust. What the callee's later operations add is not in it:
   * `addedTaints` says that. Default `false`.
   */
  readonly follow?: boolean | undefined
  /** With `follow`: the trust domains of foreign principals in `from`, as of a listener (K-DOMAIN). One that is not listed has trust 0. */
  readonly trustDomains?: Readonly<Record<string, TrustDomainOptions>> | undefined
}

/** {@link ReceiptOptions}, checked; there are none where nothing is asked. */
export interface ResolvedReceipts {
  readonly mode: 'accept' | 'require'
  readonly follow: boolean
  readonly trustDomains: Readonly<Record<string, TrustDomainOptions>>
  /** Who may sign for an origin; empty: nobody. */
  principalsOf(url: URL): ReadonlySet<string>
}

const OPTIONS: ReadonlySet<string> = new Set<keyof ReceiptOptions>(['mode', 'from', 'follow', 'trustDomains'])
const NOBODY: ReadonlySet<string> = new Set()

/**
 * @returns `null` where nothing is asked
 * @throws {KestConfigError} for options that are unknown, wrong or missing
 */
export function resolveReceipts(options: ReceiptOptions | undefined): ResolvedReceipts | null {
  if (options === undefined) return null
  assertOptions('receipts', options, OPTIONS)
  const { mode = 'off', from, follow = false, trustDomains } = options
  if (mode !== 'off' && mode !== 'accept' && mode !== 'require')
    throw new KestConfigError(`receipts.mode: expected "off", "accept" or "require", got ${String(mode)}`)
  if (typeof follow !== 'boolean') throw new KestConfigError('receipts.follow: expected a boolean')
  if (trustDomains !== undefined && !follow)
    throw new KestConfigError('receipts.trustDomains: means nothing without follow: true')
  const rules = rulesOf(from, mode)
  if (mode === 'off') return null
  return Object.freeze({
    mode,
    follow,
    trustDomains: trustDomains ?? {},
    principalsOf: (url: URL) => {
      const matching = rules.filter(({ covers }) => covers(url))
      const [first] = matching
      if (first === undefined) return NOBODY
      return matching.length === 1
        ? first.principals
        : new Set(matching.flatMap(({ principals }) => [...principals]))
    },
  })
}

interface Rule {
  readonly covers: (url: URL) => boolean
  readonly principals: ReadonlySet<string>
}

function rulesOf(from: unknown, mode: string): readonly Rule[] {
  if (from === undefined && mode === 'off') return []
  const listed = typeof from === 'object' && from !== null && !Array.isArray(from) ? Object.entries(from) : []
  if (listed.length === 0)
    throw new KestConfigError('receipts.from: expected an object: an origin → who signs for it')
  return listed.map(([origin, given]) => {
    const principals: readonly unknown[] = Array.isArray(given) ? given : [given]
    if (principals.length === 0 || !principals.every((one) => typeof one === 'string' && one !== ''))
      throw new KestConfigError(
        `receipts.from[${JSON.stringify(origin)}]: expected a principal, or a list of them`,
      )
    return { covers: coversOf(origin), principals: new Set(principals as readonly string[]) }
  })
}

function coversOf(origin: string): (url: URL) => boolean {
  try {
    return compileScope([origin])
  } catch (cause) {
    throw new KestConfigError(`receipts.from: ${JSON.stringify(origin)} is no origin as in propagateTo`, {
      cause,
    })
  }
}
