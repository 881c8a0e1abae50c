import { resolve } from 'node:path'
import type { SecureContextOptions } from 'node:tls'
import { assertOptions, KestConfigError, type MaybePromise } from '@kest/core'
import type { buildConnector } from 'undici'
import { createPathOf, type PolicyPaths } from '../decision/policy-paths.js'
import { createDecisionReader, type DecisionReader } from '../decision/read-decision.js'
import { LONGEST_MS, toInteger } from '../options.js'

/** Which OPA is asked, and how. */
export interface OPAOptions {
  /** Where it serves: `http://opa` beside a `socketPath`, or `http://127.0.0.1:8181`, with a path when it is behind a proxy that has one. */
  readonly url: string | URL
  /**
   * The Unix socket that it serves on, at most 103 bytes; `url` then says the scheme and the name alone. A relative one is meant
   * from the folder of the process at this moment.
   */
  readonly socketPath?: string
  /** For `Authorization: Bearer`; a function is asked for each question, so that the token may change. */
  readonly token?: string | (() => MaybePromise<string>)
  /** Client certificate, and whom to trust: as `node:tls` takes them. */
  readonly tls?: Pick<SecureContextOptions, 'ca' | 'cert' | 'key' | 'minVersion'>
  /** Connects in place of undici, within a time of its own: what `createMtlsConnector` of `@kest/spiffe` answers. */
  readonly connect?: buildConnector.connector
  /** Paths of documents by the name of the policy. Default: the name itself: `orders/read` is `data.orders.read`. */
  readonly paths?: PolicyPaths
  /** Where the decision lies in a document, for all policies or by name. Default: it is a boolean, or has `allow`. */
  readonly decisionPath?: string | Readonly<Record<string, string>>
  /**
   * Whether the policies of a tier are asked in one question, by OPA's Query API (`POST /v1/query`), which whoever guards OPA
   * must allow. Default `false`: each has a question of its own, all at once.
   */
  readonly batch?: boolean
  /**
   * Whether all policies of an operation are asked in one question where OPA has a plan for them, a file that `kest policies plan`
   * writes; what it has none for is asked as without. `retryMs` is how long a plan that was not there, or failed, is not asked for
   * again, default 10,000. Default `false`.
   */
  readonly plans?: boolean | { readonly retryMs?: number }
  /**
   * Whether OPA is asked which bundles each decision has come from (`provenance=true`), so that entries have them as the label
   * `kest.revisions` (K-REVISION). Whoever guards OPA must let that parameter through. Not with `batch`: OPA says it of single
   * documents alone. Default `true`.
   */
  readonly provenance?: boolean
  /** For all that is asked at once, and for a connection to be opened, milliseconds. Default 1,000. */
  readonly timeoutMs?: number
  /** Bytes of an answer. Default 65,536. */
  readonly maxAnswerBytes?: number
  /** Connections that are kept open at most. Default 128. */
  readonly connections?: number
}

/** Options as they hold. */
export interface ResolvedOPAOptions {
  readonly url: URL
  readonly socketPath: string | undefined
  readonly pathOf: (policy: string) => string
  readonly readerOf: (policy: string) => DecisionReader
  readonly authorization: () => MaybePromise<string | null>
  readonly connect: buildConnector.connector | buildConnector.BuildOptions
  readonly batch: boolean
  readonly provenance: boolean
  /** Whether a policy is another document than that of its name, or a part of it. */
  readonly isMapped: (policy: string) => boolean
  /** `null` where there are no plans. */
  readonly planRetryMs: number | null
  readonly timeoutMs: number
  readonly maxAnswerBytes: number
  readonly connections: number
}

const WHERE = 'OPAPolicyEngine'
const KNOWN = [
  'url',
  'socketPath',
  'token',
  'tls',
  'connect',
  'paths',
  'decisionPath',
  'batch',
  'plans',
  'provenance',
  'timeoutMs',
  'maxAnswerBytes',
  'connections',
]
const PLAN_RETRY_MS = 10_000
/** Bytes of a Unix socket's path that every platform takes. */
const MAX_PATH_BYTES = 103
/** RFC 6750 §2.1. */
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/

/** @throws {KestConfigError} */
export function resolveOptions(options: OPAOptions): ResolvedOPAOptions {
  assertOptions(WHERE, options, KNOWN)
  const { paths, decisionPath, batch = false, provenance = true } = options
  if (typeof batch !== 'boolean') throw new KestConfigError(`${WHERE}.batch: expected a boolean`)
  if (typeof provenance !== 'boolean') throw new KestConfigError(`${WHERE}.provenance: expected a boolean`)
  const pathOf = createPathOf(WHERE, paths)
  const socketPath = options.socketPath === undefined ? undefined : toSocketPath(options.socketPath)
  const timeoutMs = toInteger(`${WHERE}.timeoutMs`, options.timeoutMs ?? 1_000, 1, LONGEST_MS)
  return {
    url: toUrl(options.url),
    socketPath,
    pathOf,
    readerOf: createReaderOf(decisionPath),
    authorization: createAuthorization(options.token),
    connect: connectorOf(options, socketPath, timeoutMs),
    batch,
    provenance,
    isMapped: (policy) => pathOf(policy) !== policy || isWithin(decisionPath, policy),
    planRetryMs: toPlanRetryMs(options.plans ?? false),
    timeoutMs,
    maxAnswerBytes: toInteger(`${WHERE}.maxAnswerBytes`, options.maxAnswerBytes ?? 65_536, 1),
    connections: toInteger(`${WHERE}.connections`, options.connections ?? 128, 1),
  }
}

function toPlanRetryMs(plans: unknown): number | null {
  if (plans === false) return null
  if (plans === true) return PLAN_RETRY_MS
  if (typeof plans !== 'object' || plans === null || Array.isArray(plans))
    throw new KestConfigError(`${WHERE}.plans: expected a boolean, or options`)
  assertOptions(`${WHERE}.plans`, plans, ['retryMs'])
  const { retryMs } = plans as { readonly retryMs?: unknown }
  return toInteger(`${WHERE}.plans.retryMs`, retryMs ?? PLAN_RETRY_MS, 1, LONGEST_MS)
}

function toUrl(url: unknown): URL {
  const parsed = typeof url === 'string' || url instanceof URL ? tryUrl(`${url}`) : null
  const plain =
    parsed !== null &&
    /^https?:$/.test(parsed.protocol) &&
    `${parsed.username}${parsed.password}${parsed.search}${parsed.hash}` === ''
  if (plain) return parsed
  throw new KestConfigError(`${WHERE}.url: expected http: or https:, without credentials, query or fragment`)
}

function tryUrl(url: string): URL | null {
  return URL.canParse(url) ? new URL(url) : null
}

function createReaderOf(decisionPath: OPAOptions['decisionPath']): (policy: string) => DecisionReader {
  if (decisionPath === undefined || typeof decisionPath === 'string') {
    const reader = createDecisionReader(WHERE, decisionPath)
    return () => reader
  }
  if (typeof decisionPath !== 'object' || decisionPath === null) {
    throw new KestConfigError(`${WHERE}.decisionPath: expected a string, or a record of strings`)
  }
  const standard = createDecisionReader(WHERE)
  const readers = new Map(
    Object.entries(decisionPath).map(([policy, path]) => [policy, createDecisionReader(WHERE, path)]),
  )
  return (policy) => readers.get(policy) ?? standard
}

/** Whether the decision of a policy is a part of its document that is named. */
function isWithin(decisionPath: OPAOptions['decisionPath'], policy: string): boolean {
  if (typeof decisionPath === 'string') return decisionPath !== ''
  return decisionPath !== undefined && Object.hasOwn(decisionPath, policy)
}

function createAuthorization(token: OPAOptions['token']): () => MaybePromise<string | null> {
  if (token === undefined) return () => null
  if (typeof token === 'function') {
    return async () => bearer(await token())
  }
  const authorization = bearer(token)
  return () => authorization
}

/** Never shows what it is given. */
function bearer(token: unknown): string {
  if (typeof token === 'string' && TOKEN.test(token)) return `Bearer ${token}`
  throw new KestConfigError(`${WHERE}.token: expected a bearer token (RFC 6750)`)
}

/** Node 20 and 22 cut a longer path, or one at its NUL, and connect to whoever listens at what is left. */
function toSocketPath(path: unknown): string {
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw new KestConfigError(`${WHERE}.socketPath: expected a path`)
  const whole = resolve(path)
  if (Buffer.byteLength(whole) <= MAX_PATH_BYTES) return whole
  throw new KestConfigError(
    `${WHERE}.socketPath: "${whole}" is longer than ${MAX_PATH_BYTES} bytes, which not every platform takes`,
  )
}

/**
 * Nobody waits for a connection for longer than a question may take. After OPA has moved, what is still being opened to its old
 * address would hold its place among the connections, and the questions that come to it.
 */
function connectorOf(
  { tls, connect }: OPAOptions,
  socketPath: string | undefined,
  timeout: number,
): ResolvedOPAOptions['connect'] {
  if (connect !== undefined && (tls !== undefined || socketPath !== undefined)) {
    throw new KestConfigError(
      `${WHERE}.connect: connects by itself; tls and socketPath mean nothing beside it`,
    )
  }
  if (connect !== undefined && typeof connect !== 'function') {
    throw new KestConfigError(`${WHERE}.connect: expected a connector of undici's`)
  }
  return connect ?? { ...tls, timeout, ...(socketPath === undefined ? {} : { socketPath }) }
}
