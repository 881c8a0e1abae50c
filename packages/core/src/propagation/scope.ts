import { KestConfigError } from '../errors.js'
import { askOperator } from './ask-operator.js'

/**
 * Which origins receive passports (K-SCOPE). Either a list of
 *
 * - exact origins, `http://hop2:8000` (the scheme's own port may be left out), and
 * - `https://*.svc.local`: one or more host labels where the `*` is, never the bare domain, and only this port;
 *
 * or a function of the URL that is about to be called. The domain behind `*.` has at least two labels, since one label
 * is everybody's; for anything else there is the function. There are no paths and no regular expressions.
 */
export type PropagateTo = readonly string[] | ((url: URL) => boolean)

/** Scheme, authority, and nothing behind: `URL` would take white space, credentials, paths and much else. */
const ORIGIN = /^https?:\/\/[^\s/?#@\\%]+$/i
/** Any label: stands for the `*` while `URL` normalises the rest. */
const STAND_IN = 'any'

interface Wildcard {
  readonly protocol: string
  readonly port: string
  /** With its leading dot. */
  readonly suffix: string
}

/**
 * Checks a rule and makes it a predicate. Only `http:` and `https:` URLs are ever in scope.
 *
 * @returns a predicate; it throws a `KestError` with `ERR_KEST_OUTBOUND` when a function of the operator throws, or
 *   answers something other than `true` or `false`
 * @throws {KestConfigError} for a rule that is not of the form of {@link PropagateTo}
 *
 * @example
 * ```ts
 * const inScope = compileScope(['http://hop2:8000', 'https://*.svc.local'])
 * inScope(new URL('https://hop3.svc.local/orders'))  // true
 * ```
 */
export function compileScope(propagateTo: PropagateTo): (url: URL) => boolean {
  if (typeof propagateTo === 'function')
    return (url) => isHttp(url) && askOperator(propagateTo, url, url.origin)
  if (!Array.isArray(propagateTo)) {
    throw new KestConfigError('propagateTo: expected a list of origins, or a function of the URL')
  }
  const exact = new Set<string>()
  const wildcards: Wildcard[] = []
  for (const rule of propagateTo as readonly unknown[]) {
    const url = parseRule(rule)
    if ((rule as string).includes('*')) wildcards.push(toWildcard(url, rule as string))
    else exact.add(url.origin)
  }
  return (url) =>
    isHttp(url) && (exact.has(url.origin) || wildcards.some((wildcard) => covers(wildcard, url)))
}

function parseRule(rule: unknown): URL {
  if (typeof rule !== 'string' || !ORIGIN.test(rule)) {
    const got =
      typeof rule === 'string' ? JSON.stringify(rule) : rule instanceof RegExp ? 'a RegExp' : typeof rule
    throw new KestConfigError(
      `propagateTo: expected an origin like "https://orders:8443" or "https://*.svc.local", without a path; got ${got}`,
    )
  }
  try {
    return new URL(rule.replace('//*.', `//${STAND_IN}.`))
  } catch (cause) {
    throw new KestConfigError(`propagateTo: ${JSON.stringify(rule)} is not an origin`, { cause })
  }
}

function toWildcard(url: URL, rule: string): Wildcard {
  const suffix = url.hostname.slice(STAND_IN.length)
  const labels = suffix.split('.').slice(1)
  // A "*" anywhere else is still there.
  if (url.hostname.includes('*') || labels.length < 2 || labels.includes('')) {
    throw new KestConfigError(
      `propagateTo: in ${JSON.stringify(rule)} the "*" must be the whole first label, before a domain of two labels or more`,
    )
  }
  return { protocol: url.protocol, port: url.port, suffix }
}

function covers({ protocol, port, suffix }: Wildcard, url: URL): boolean {
  const { hostname } = url
  return (
    url.protocol === protocol &&
    url.port === port &&
    hostname.endsWith(suffix) &&
    !hostname.slice(0, -suffix.length).split('.').includes('')
  )
}

function isHttp({ protocol }: URL): boolean {
  return protocol === 'http:' || protocol === 'https:'
}
