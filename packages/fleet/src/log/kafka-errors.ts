import { KestConfigError } from '@kest/core'
import { Fenced, Gone, TooLarge, Unavailable } from './log.js'

/** Errors of the client have others in them, some levels deep. */
const MAX_DEPTH = 8

const GONE = ['OFFSET_OUT_OF_RANGE']
const FENCED = ['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH', 'TRANSACTION_COORDINATOR_FENCED']
const TOO_LARGE = ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']
const MISSING = ['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID']
const DENIED = [
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
]
const AUTHENTICATION = ['SASL_AUTHENTICATION_FAILED', 'UNSUPPORTED_SASL_MECHANISM', 'ILLEGAL_SASL_STATE']

/**
 * What an error of the client is about. What the operator has to mend is a KestConfigError; what else happens may pass.
 *
 * @param doing what was tried, for the message
 */
export function logError(cause: unknown, doing: string): Error {
  if (isOurs(cause)) return cause
  const ids = new Set<string>()
  const texts: string[] = []
  collect(cause, ids, texts, 0)
  const has = (names: readonly string[]): string | undefined => names.find((name) => ids.has(name))
  const why = [...new Set(texts)].join(': ').slice(0, 500)
  if (has(GONE)) return new Gone(`${doing}: ${why}`, { cause })
  if (has(FENCED)) return new Fenced(`${doing}: ${why}`, { cause })
  if (has(TOO_LARGE)) return new TooLarge(`${doing}: ${why}`, { cause })
  const denied = has(DENIED)
  if (denied !== undefined) return new KestConfigError(`kafka: ${doing}: not allowed (${denied})`, { cause })
  if (has(MISSING)) return new KestConfigError(`kafka: ${doing}: there is no such topic`, { cause })
  if (has(AUTHENTICATION) || ids.has('PLT_KFK_AUTHENTICATION'))
    return new KestConfigError(`kafka: ${doing}: the broker does not take these credentials: ${why}`, {
      cause,
    })
  if (/^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test([...ids].find(isOfTls) ?? ''))
    return new KestConfigError(`kafka: ${doing}: TLS: ${why}`, { cause })
  return new Unavailable(`kafka: ${doing}: ${why}`, { cause })
}

function isOurs(error: unknown): error is Error {
  return [Gone, Fenced, TooLarge, Unavailable, KestConfigError].some((kind) => error instanceof kind)
}

function isOfTls(id: string): boolean {
  return /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(id)
}

function collect(error: unknown, ids: Set<string>, texts: string[], depth: number): void {
  if (!(error instanceof Error) || depth > MAX_DEPTH) return
  const { code, apiId, cause, errors } = error as Error & {
    code?: unknown
    apiId?: unknown
    errors?: unknown
  }
  for (const id of [code, apiId]) if (typeof id === 'string') ids.add(id)
  const unknownTopic = /^Unknown topic /.test(error.message)
  if (unknownTopic) ids.add('UNKNOWN_TOPIC_OR_PARTITION')
  if (error.message !== '') texts.push(error.message)
  collect(cause, ids, texts, depth + 1)
  if (Array.isArray(errors)) for (const one of errors) collect(one, ids, texts, depth + 1)
}
