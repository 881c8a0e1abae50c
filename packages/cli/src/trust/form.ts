import { UsageError } from '../arguments/usage-error.js'

/** Trust material as it is named on the command line: a file, or the bundle of a trust domain in one. */
export interface TrustForm {
  /** As it was written, for messages. */
  readonly written: string
  readonly trustDomain: string | null
  readonly path: string
}

const SCHEME = 'spiffe://'

/**
 * `[TRUST-DOMAIN=]FILE`. A trust domain has no slash, so that `./a=b.json` is a file.
 *
 * @throws {UsageError} for half of it
 */
export function parseTrustForm(option: string, value: string): TrustForm {
  const written = `--${option} ${value}`
  const at = value.indexOf('=')
  const named = value.slice(0, Math.max(at, 0))
  if (at === -1 || (/[/\\]/.test(named) && !named.startsWith(SCHEME))) {
    if (value === '') throw new UsageError(`--${option}: expected [TRUST-DOMAIN=]FILE, got nothing`)
    return { written, trustDomain: null, path: value }
  }
  return bundleForm(option, named, value.slice(at + 1))
}

/**
 * The bundle of a trust domain, whatever its name: that it is one is for whoever reads the file.
 *
 * @throws {UsageError} for half of it
 */
export function bundleForm(option: string, trustDomain: string, path: string): TrustForm {
  const value = `${trustDomain}=${path}`
  const written = `--${option} ${value}`
  if (trustDomain.startsWith(SCHEME))
    throw new UsageError(
      `${written}: a trust domain is named without ${SCHEME}: ${value.slice(SCHEME.length)}`,
    )
  if (trustDomain === '' || path === '')
    throw new UsageError(`--${option}: expected [TRUST-DOMAIN=]FILE, got "${value}"`)
  return { written, trustDomain, path }
}
