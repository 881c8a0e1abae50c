import { KestError, type KestErrorCode } from '../errors.js'

const ENGINE = 'the policy engine'
const CONFIGURATION = 'the configuration'

const PARTS: Readonly<Partial<Record<KestErrorCode, string>>> = {
  ERR_KEST_IDENTITY: 'the identity',
  ERR_KEST_ENGINE: ENGINE,
  ERR_KEST_ENGINE_TIMEOUT: ENGINE,
  ERR_KEST_ENGINE_ANSWER: ENGINE,
  ERR_KEST_NOT_ASKED: ENGINE,
  ERR_KEST_CACHE: 'the cache',
  ERR_KEST_KEYS_UNAVAILABLE: 'what gives keys and trust bundles',
  ERR_KEST_AUDIT_UNAVAILABLE: 'the audit trail',
}

/** As metrics name an error that is not of Kest. */
export function codeOf(error: unknown): KestErrorCode | '_OTHER' {
  return error instanceof KestError ? error.code : '_OTHER'
}

/**
 * What is down, in words, where that is why something was refused; `undefined` where the refusal is a judgement, the caller
 * has left, or the application came too late.
 */
export function failingPart(error: unknown): string | undefined {
  if (!(error instanceof KestError)) return 'a function of the application'
  const { code, statusCode } = error
  if (code === 'ERR_KEST_ABORTED' || code === 'ERR_KEST_STATE_ENDED' || statusCode < 500) return undefined
  return PARTS[code] ?? CONFIGURATION
}

/** Whoever leaves early is nobody's trouble. */
export function refusalLevel(error: unknown): 'debug' | 'warn' {
  return codeOf(error) === 'ERR_KEST_ABORTED' ? 'debug' : 'warn'
}
