import type { Logger } from '@kest/core'
import { assertKnown } from '../assert-known.js'
import { SpiffeError } from '../errors.js'
import { SpiffeId, TrustDomain } from '../id/spiffe-id.js'
import { KEY_TYPES, type KeyType } from './keys.js'

const NAME = /^(?!\.)[A-Za-z0-9._-]{1,40}$/
const HOUR = 3_600_000
const MINUTE = 60_000

/** One workload: a socket of its own, and what whoever opens it is. */
export interface DevWorkloadOptions {
  /** Its SPIFFE ID, or several: then the first is the default one. Default `spiffe://<trust domain>/<name>`. */
  readonly id?: string | readonly string[]
  /** What tells its identities apart, in the order of `id`. Default none. */
  readonly hints?: readonly string[]
  /** Life of its SVIDs, milliseconds. Default that of the authority. */
  readonly ttlMs?: number
}

/** How {@link createDevAuthority} is set up. */
export interface DevAuthorityOptions {
  /** `example.org` */
  readonly trustDomain: string
  /** Name → workload; the name is also that of its socket. */
  readonly workloads: Readonly<Record<string, DevWorkloadOptions>>
  /** Life of X.509-SVIDs, milliseconds, at least 1000; they are renewed at half of it. Default one hour. */
  readonly ttlMs?: number
  /** Life of JWT-SVIDs, milliseconds, at least 1000. Default five minutes. */
  readonly jwtTtlMs?: number
  /** Kind of key, of the authority and of its SVIDs. Default `ec-p256`, as SPIRE's. */
  readonly keyType?: KeyType
  /** Intermediate authorities between root and SVIDs, at most 3. Default 0. */
  readonly intermediates?: number
  /** Where sockets are made: an existing directory. Default a new private one, which goes with the authority. */
  readonly socketDirectory?: string
  /** Default: warnings to standard error. */
  readonly logger?: Logger
}

const OPTIONS: readonly (keyof DevAuthorityOptions)[] = [
  'trustDomain',
  'workloads',
  'ttlMs',
  'jwtTtlMs',
  'keyType',
  'intermediates',
  'socketDirectory',
  'logger',
]

export interface ResolvedWorkload {
  readonly name: string
  readonly ids: readonly { readonly id: SpiffeId; readonly hint: string }[]
  readonly ttlMs: number
}

export interface ResolvedOptions {
  readonly trustDomain: TrustDomain
  readonly workloads: readonly ResolvedWorkload[]
  readonly jwtTtlMs: number
  readonly keyType: KeyType
  readonly intermediates: number
  readonly socketDirectory: string | undefined
  readonly logger: Logger | undefined
}

/** @throws {SpiffeError} `ERR_SPIFFE_CONFIG`, `ERR_SPIFFE_ID`, `ERR_SPIFFE_TRUST_DOMAIN` */
export function resolveOptions(options: DevAuthorityOptions): ResolvedOptions {
  assertKnown('createDevAuthority', options, OPTIONS)
  const { workloads, keyType = 'ec-p256', intermediates = 0, socketDirectory, logger } = options
  const trustDomain = TrustDomain.parse(options.trustDomain)
  const ttlMs = duration('ttlMs', options.ttlMs, HOUR)
  if (typeof workloads !== 'object' || workloads === null)
    throw wrong('workloads: expected names with workloads')
  if (!KEY_TYPES.includes(keyType))
    throw wrong(`keyType: expected one of ${KEY_TYPES.join(', ')}, got ${String(keyType)}`)
  if (!Number.isInteger(intermediates) || intermediates < 0 || intermediates > 3)
    throw wrong(`intermediates: expected 0 to 3, got ${String(intermediates)}`)
  return {
    trustDomain,
    workloads: Object.entries(workloads).map(([name, workload]) =>
      resolveWorkload(name, workload, trustDomain, ttlMs),
    ),
    jwtTtlMs: duration('jwtTtlMs', options.jwtTtlMs, 5 * MINUTE),
    keyType,
    intermediates,
    socketDirectory,
    logger,
  }
}

function resolveWorkload(
  name: string,
  workload: DevWorkloadOptions,
  trustDomain: TrustDomain,
  ttlMs: number,
): ResolvedWorkload {
  if (!NAME.test(name))
    throw wrong(`workloads: ${JSON.stringify(name)}: expected at most 40 of A-Z, a-z, 0-9, ".", "-", "_"`)
  assertKnown(`createDevAuthority: workloads.${name}`, workload, ['id', 'hints', 'ttlMs'])
  const { id = `${trustDomain.id()}/${name}`, hints = [] } = workload
  const ids = (typeof id === 'string' ? [id] : id).map((text, i) => ({
    id: SpiffeId.parse(text),
    hint: hints[i] ?? '',
  }))
  if (ids.length === 0) throw wrong(`workloads.${name}: id: expected at least one`)
  if (hints.length > ids.length) throw wrong(`workloads.${name}: hints: more than it has identities`)
  for (const { id: one } of ids) {
    if (!one.memberOf(trustDomain)) throw wrong(`workloads.${name}: ${one} is not of ${trustDomain}`)
    if (one.path === '') throw wrong(`workloads.${name}: the ID of a workload has a path`)
  }
  return { name, ids, ttlMs: duration(`workloads.${name}.ttlMs`, workload.ttlMs, ttlMs) }
}

function duration(name: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise
  // Longer ones overflow a timer.
  if (Number.isFinite(value) && value >= 1000 && value <= 24 * HOUR) return value
  throw wrong(`${name}: expected 1000 to ${24 * HOUR} milliseconds, got ${String(value)}`)
}

function wrong(why: string): SpiffeError {
  return new SpiffeError('ERR_SPIFFE_CONFIG', `development authority: ${why}`)
}
