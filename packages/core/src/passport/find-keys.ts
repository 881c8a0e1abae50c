import { KestError } from '../errors.js'
import type { KeyQuery, KeySource, VerificationKey } from '../identity/key-source.js'
import { answered, isPromise, type MaybePromise } from '../maybe-promise.js'
import { shown } from '../shown.js'

/** Keys of one principal that are tried, those with the header's `kid` first. */
export const MAX_KEYS_TRIED = 8

/** A principal's own keys, of those that fit the algorithm, and who vouches for them. */
export interface FoundKeys {
  readonly keys: readonly VerificationKey[]
  readonly source: KeySource
  /** The source's, from before it was asked. */
  readonly generation: number
}

/**
 * Whose key it must be (K-BIND): sources are asked in order, and the first that knows the principal decides. What has
 * certificates is judged by X.509 sources only, the rest by sources of plain keys only. Then the algorithm: the header
 * must name one of the key's (K-ALG). No key is a failure, never a skip.
 *
 * @throws {KestError} at once or by the promise: `ERR_KEST_KEY_UNKNOWN`, `ERR_KEST_CERTIFICATE_UNSUPPORTED`,
 *   `ERR_KEST_ALG`, and what sources throw
 */
export function findKeys(query: KeyQuery, sources: readonly KeySource[]): MaybePromise<FoundKeys> {
  return ask(query, applicableSources(query, sources), 0)
}

/**
 * That somebody knows the principal, as far as that can be said without looking for keys.
 * @throws {KestError} `ERR_KEST_KEY_UNKNOWN`, `ERR_KEST_CERTIFICATE_UNSUPPORTED`
 */
export function assertKnown(query: Omit<KeyQuery, 'time'>, sources: readonly KeySource[]): void {
  const known = applicableSources(query, sources).some((source) => source.knows?.(query.principal) ?? true)
  if (!known) throw unknown(query.principal)
}

function applicableSources(
  { header }: Omit<KeyQuery, 'time'>,
  sources: readonly KeySource[],
): readonly KeySource[] {
  if (header.x5c === undefined) return sources.filter(({ kind }) => kind === 'keys')
  const x509 = sources.filter(({ kind }) => kind === 'x509')
  if (x509.length > 0) return x509
  throw new KestError(
    'ERR_KEST_CERTIFICATE_UNSUPPORTED',
    'it carries certificates, and no source of X.509 trust is given',
  )
}

/** The sources from `position` on, until one knows the principal. */
function ask(query: KeyQuery, sources: readonly KeySource[], position: number): MaybePromise<FoundKeys> {
  const source = sources[position]
  if (source === undefined) throw unknown(query.principal)
  const { generation } = source
  const decide = (keys: readonly VerificationKey[]): MaybePromise<FoundKeys> =>
    keys.length === 0
      ? ask(query, sources, position + 1)
      : { source, generation, keys: fittingKeys(keys, query) }
  const found = answered(source.find(query))
  return isPromise(found) ? found.then(decide) : decide(found)
}

function unknown(principal: string): KestError {
  return new KestError('ERR_KEST_KEY_UNKNOWN', `no key is known for ${shown(principal)}`)
}

/** K-ALG. `kid` is a hint among the principal's own keys: peers put the workload id there. */
function fittingKeys(
  keys: readonly VerificationKey[],
  { header, principal }: KeyQuery,
): readonly VerificationKey[] {
  if (keys.length === 1 && keys[0]?.algorithms.includes(header.alg)) return keys
  const fitting = keys.filter(({ algorithms }) => algorithms.includes(header.alg))
  if (fitting.length === 0) {
    throw new KestError('ERR_KEST_ALG', `alg ${header.alg} is not that of a key of ${shown(principal)}`)
  }
  if (fitting.length === 1) return fitting
  const named = fitting.filter(({ kid }) => kid === header.kid)
  const others = fitting.filter(({ kid }) => kid !== header.kid)
  return [...named, ...others].slice(0, MAX_KEYS_TRIED)
}
