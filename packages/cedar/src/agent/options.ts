import { assertOptions, KestConfigError } from '@kest/core'
import type { Pool } from 'undici'
import { EntityNames, type EntityTypes } from '../entity-types.js'

export interface CedarPolicyOptions {
  /** Where the agent's API is, such as `http://127.0.0.1:8180/v1`: `/is_authorized` is put after it. Required. */
  readonly url: string | URL
  /** What the agent wants to see as `Authorization`, whole. Default: nothing. */
  readonly authorization?: string
  /** How long one policy may take, milliseconds. Default 1,000. No retry. */
  readonly timeoutMs?: number
  /** Beyond it an answer is none. Default 65,536. */
  readonly maxAnswerBytes?: number
  /** Kept-alive connections at a time. Default 16. */
  readonly connections?: number
  /** Certificates of an agent behind TLS, as undici and `node:tls` take them: `ca`, `cert`, `key`, `servername`, … */
  readonly tls?: NonNullable<Extract<Pool.Options['connect'], object>>
  /** Default: `Workload`, `Action`, `Resource`. */
  readonly entityTypes?: EntityTypes
}

/** Options as they hold. */
export interface ResolvedCedarPolicyOptions {
  readonly origin: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly maxAnswerBytes: number
  readonly connections: number
  readonly tls: CedarPolicyOptions['tls']
  readonly names: EntityNames
}

const WHERE = 'CedarPolicyEngine'
const KNOWN = ['url', 'authorization', 'timeoutMs', 'maxAnswerBytes', 'connections', 'tls', 'entityTypes']
/** A longer delay overflows a timer. */
const MOST_MS = 0x7fffffff

/** @throws {KestConfigError} for options that are missing, unknown or wrong */
export function resolveOptions(options: CedarPolicyOptions): ResolvedCedarPolicyOptions {
  assertOptions(WHERE, options, KNOWN)
  const { authorization, tls, timeoutMs = 1_000, maxAnswerBytes = 65_536, connections = 16 } = options
  const url = toUrl(options.url)
  if (
    authorization !== undefined &&
    (typeof authorization !== 'string' || !/^[\t\x20-\x7e]+$/.test(authorization))
  )
    throw new KestConfigError(`${WHERE}.authorization: expected the value of a header`)
  if (tls !== undefined && (typeof tls !== 'object' || tls === null))
    throw new KestConfigError(`${WHERE}.tls: expected an object`)
  return {
    origin: url.origin,
    path: `${url.pathname.replace(/\/+$/, '')}/is_authorized`,
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      ...(authorization === undefined ? {} : { authorization }),
    },
    timeoutMs: toInteger('timeoutMs', timeoutMs, MOST_MS),
    maxAnswerBytes: toInteger('maxAnswerBytes', maxAnswerBytes),
    connections: toInteger('connections', connections),
    tls,
    names: new EntityNames(WHERE, options.entityTypes),
  }
}

function toUrl(value: unknown): URL {
  const url = URL.canParse(String(value)) ? new URL(String(value)) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
    throw new KestConfigError(`${WHERE}.url: expected an http(s) URL without a query, got ${String(value)}`)
  if (url.username !== '' || url.password !== '')
    throw new KestConfigError(`${WHERE}.url: credentials do not belong into a URL: use authorization`)
  return url
}

function toInteger(name: string, value: number, most = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value
  throw new KestConfigError(`${WHERE}.${name}: expected a positive integer, got ${String(value)}`)
}
