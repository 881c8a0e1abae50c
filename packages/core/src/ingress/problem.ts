import { KestError, type KestErrorCode } from '../errors.js'

/** An answer by RFC 9457. */
export interface Problem {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: {
    readonly type: string
    readonly title: string
    readonly status: number
    readonly code: string
  }
}

const NOT_CONFIGURED = 'The service is not set up to answer this request'
const LINEAGE_MALFORMED = 'The lineage of the request is malformed'
const LINEAGE_REFUSED = 'The lineage of the request does not verify'
const UNDECIDED = 'The request could not be authorized; it may be tried again later'

/** What a client is told, besides the code. Several codes share a title on purpose: details are for the operator. */
const TITLES: Readonly<Record<KestErrorCode, string>> = {
  ERR_KEST_CONFIG: NOT_CONFIGURED,
  ERR_KEST_NOT_JSON: NOT_CONFIGURED,
  ERR_KEST_TOO_LARGE: NOT_CONFIGURED,
  ERR_KEST_OUTBOUND: NOT_CONFIGURED,
  ERR_KEST_STATE_ENDED: 'The request is over, and nothing more is done in its name',
  ERR_KEST_EVIDENCE: 'The evidence is malformed',
  ERR_KEST_RECEIPT: 'A service behind this one has not shown that it recorded what it was asked',
  ERR_KEST_IDENTITY: UNDECIDED,
  ERR_KEST_ENGINE: UNDECIDED,
  ERR_KEST_ENGINE_TIMEOUT: UNDECIDED,
  ERR_KEST_ENGINE_ANSWER: UNDECIDED,
  ERR_KEST_NOT_ASKED: UNDECIDED,
  ERR_KEST_CACHE: UNDECIDED,
  ERR_KEST_KEYS_UNAVAILABLE: UNDECIDED,
  ERR_KEST_AUDIT_UNAVAILABLE: 'The request could not be recorded; it may be tried again later',
  ERR_KEST_ABORTED: UNDECIDED,
  ERR_KEST_DENIED: 'A policy denies the request',
  ERR_KEST_LINEAGE_MISSING: 'The request has no lineage, and needs one here',
  ERR_KEST_BAGGAGE: LINEAGE_MALFORMED,
  ERR_KEST_CLAIM_UNKNOWN: LINEAGE_REFUSED,
  ERR_KEST_LIMIT: 'The lineage of the request exceeds a limit',
  ERR_KEST_PASSPORT_MALFORMED: LINEAGE_MALFORMED,
  ERR_KEST_ENTRY_MALFORMED: LINEAGE_MALFORMED,
  ERR_KEST_ENTRY_HEADER: LINEAGE_MALFORMED,
  ERR_KEST_ENTRY_NOT_CANONICAL: LINEAGE_MALFORMED,
  ERR_KEST_ENTRY_SCHEMA: LINEAGE_MALFORMED,
  ERR_KEST_ALG: LINEAGE_REFUSED,
  ERR_KEST_KEY_UNKNOWN: LINEAGE_REFUSED,
  ERR_KEST_SIGNATURE: LINEAGE_REFUSED,
  ERR_KEST_CERTIFICATE_UNSUPPORTED: LINEAGE_REFUSED,
  ERR_KEST_CERTIFICATE: LINEAGE_REFUSED,
  ERR_KEST_PARENT_UNKNOWN: LINEAGE_REFUSED,
  ERR_KEST_DUPLICATE: LINEAGE_REFUSED,
  ERR_KEST_TIP: LINEAGE_REFUSED,
  ERR_KEST_TIME: LINEAGE_REFUSED,
  ERR_KEST_FRESHNESS: LINEAGE_REFUSED,
  ERR_KEST_TRACE: LINEAGE_REFUSED,
  ERR_KEST_IDENTITY_CONFLICT:
    'The request names different users, agents or tasks, or names them without authority',
  ERR_KEST_BINDING: "The lineage of the request is not its sender's to send",
  ERR_KEST_DOMAIN: LINEAGE_REFUSED,
  ERR_KEST_TRUST_RAISED: LINEAGE_REFUSED,
  ERR_KEST_TAINT_DROPPED: LINEAGE_REFUSED,
  ERR_KEST_ROOT: LINEAGE_REFUSED,
  ERR_KEST_TOKEN: 'The bearer token is missing or not valid here',
}

const CODE = /^ERR_KEST_[A-Z_]{1,64}$/
const UNTOLD = { code: 'ERR_KEST_CONFIG', status: 500 } as const

/**
 * What an adapter answers to an error: problem+json with the error's code and a fixed title for it. Message, cause and
 * details stay with the operator.
 *
 * What is not an error of Kest's was thrown by something in the configuration, such as a function among a route's
 * options: 500 `ERR_KEST_CONFIG`.
 *
 * A 401 carries `WWW-Authenticate` (RFC 6750 §3). Nothing of it may be cached.
 */
export function toProblem(error: unknown): Problem {
  const { code, status } = error instanceof KestError ? told(error) : UNTOLD
  const title = Object.hasOwn(TITLES, code) ? TITLES[code] : 'The request is refused'
  return {
    status,
    headers: {
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      ...(status === 401 && { 'www-authenticate': 'Bearer error="invalid_token"' }),
    },
    body: { type: `urn:kest:error:${code}`, title, status, code },
  }
}

/** The brand may be another version's: its codes are not ours, and its members are what they are. */
function told({ code, statusCode }: KestError): { readonly code: KestErrorCode; readonly status: number } {
  const known = Number.isInteger(statusCode) && statusCode >= 400 && statusCode <= 599
  return {
    code: typeof code === 'string' && CODE.test(code) ? code : UNTOLD.code,
    status: known ? statusCode : UNTOLD.status,
  }
}
