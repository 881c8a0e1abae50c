import { assertOptions } from '../assert-options.js'
import { KestConfigError } from '../errors.js'
import { publishedKeysUrl } from '../identity/published-keys.js'

/** How an issuer is asked about tokens that say nothing by themselves (RFC 7662). */
export interface IntrospectionOptions {
  /** Where; https, or http on loopback. Default: as the issuer's metadata say. */
  readonly url?: string | URL | undefined
  /** Who asks: this service is a client of the issuer's. */
  readonly clientId: string
  /** Or what gets it, asked before each question: for secrets that change. */
  readonly clientSecret: string | (() => string | Promise<string>)
  /** Longest wait for an answer, and for a secret. Default 5000. */
  readonly timeoutMs?: number | undefined
  /** How long an answer is used without asking again, never beyond the token's `exp`. Default 10,000; 0 for not at all. */
  readonly maxAgeMs?: number | undefined
  /** How many questions are under way at most; beyond that tokens are answered 503. Default 64. */
  readonly maxConcurrent?: number | undefined
}

/** With the defaults. */
export interface ResolvedIntrospection {
  readonly url: URL | null
  readonly clientId: string
  readonly clientSecret: () => string | Promise<string>
  readonly timeoutMs: number
  readonly maxAgeMs: number
  readonly maxConcurrent: number
}

const OPTIONS = ['url', 'clientId', 'clientSecret', 'timeoutMs', 'maxAgeMs', 'maxConcurrent'] as const

/** @throws {KestConfigError} for an option that is missing, unknown or wrong */
export function resolveIntrospection(options: IntrospectionOptions): ResolvedIntrospection {
  assertOptions('token.introspection', options, OPTIONS)
  const { url, clientId, clientSecret, timeoutMs = 5000, maxAgeMs = 10_000, maxConcurrent = 64 } = options
  if (!isText(clientId)) throw invalid('clientId', 'a non-empty string')
  if (!isText(clientSecret) && typeof clientSecret !== 'function')
    throw invalid('clientSecret', 'a non-empty string, or a function that answers with one')
  if (!isInteger(timeoutMs, 1)) throw invalid('timeoutMs', 'a positive integer')
  if (!isInteger(maxAgeMs, 0)) throw invalid('maxAgeMs', 'an integer of at least 0')
  if (!isInteger(maxConcurrent, 1)) throw invalid('maxConcurrent', 'a positive integer')
  return Object.freeze({
    url: url === undefined ? null : publishedKeysUrl(url, 'token.introspection.url'),
    clientId,
    clientSecret: typeof clientSecret === 'function' ? clientSecret : () => clientSecret,
    timeoutMs,
    maxAgeMs,
    maxConcurrent,
  })
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isInteger(value: unknown, min: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= min
}

function invalid(option: string, expected: string): KestConfigError {
  return new KestConfigError(`token.introspection.${option}: expected ${expected}`)
}
