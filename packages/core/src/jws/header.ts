import { isUtf8 } from 'node:buffer'
import { countMembers, countParsedMembers } from '../entry/json-members.js'
import { memo } from '../entry/memo.js'
import { KestError } from '../errors.js'
import type { Limits } from '../limits.js'
import type { JwsAlgorithm, JwsHeader } from './algorithm.js'
import { decodeBase64, decodeBase64Url } from './base64.js'

const ALGORITHMS: ReadonlySet<unknown> = new Set<JwsAlgorithm>(['EdDSA', 'ES256', 'ES384', 'PS256', 'RS256'])

/** What a JWS of ours is: an entry, the statement of a sender (K-HOP, K-MESSAGE), or a denial (K-DENIAL). */
export type JwsType = 'JWS' | 'kest-hop' | 'kest-message' | 'kest-denial'

/** Of a header's own members; none that means something nests more than once. */
const MAX_NESTING = 8

/**
 * Reads a protected header by the rules of K-STRICT. Members it does not know are kept and mean nothing; that goes for
 * the keys a header can offer (`jwk`, `jku`, `x5u`), which nothing ever looks at.
 *
 * @param type what `typ` must be
 * @throws {KestError} `ERR_KEST_ENTRY_MALFORMED` (not strict base64url of a UTF-8 JSON object), `ERR_KEST_ENTRY_HEADER`
 *   (a repeated member, another `typ`, `crit`, `b64`, a malformed `kid` or `x5c`), `ERR_KEST_ALG`, `ERR_KEST_LIMIT`
 *   (certificates).
 */
export function parseHeader(segment: string, limits: Limits, type: JwsType = 'JWS'): JwsHeader {
  const header = readHeader(segment)
  if (header.typ !== type) throw refused(`has typ ${show(header.typ)}, expected "${type}"`)
  if (header.x5c !== undefined && header.x5c.length > limits.certificates) {
    throw new KestError(
      'ERR_KEST_LIMIT',
      `${header.x5c.length} certificates; at most ${limits.certificates} are read`,
    )
  }
  return header
}

/** A workload writes the same header until its key changes. */
const readHeader = memo(512, (segment: string): JwsHeader => {
  const bytes = decodeBase64Url(segment)
  if (bytes === undefined) throw malformed('is not base64url in its one spelling')
  if (!isUtf8(bytes)) throw malformed('is not UTF-8')
  const text = bytes.toString('utf8')
  let header: Record<string, unknown>
  try {
    header = JSON.parse(text)
  } catch (cause) {
    throw malformed('is not JSON', cause)
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw malformed('is not a JSON object')
  const members = countParsedMembers(header, MAX_NESTING)
  if (members === undefined) throw new KestError('ERR_KEST_LIMIT', 'the header is nested too deep')
  if (members !== countMembers(text)) throw refused('has a member twice')
  if (!ALGORITHMS.has(header['alg']))
    throw new KestError('ERR_KEST_ALG', `alg ${show(header['alg'])} is not allowed`)
  for (const name of ['crit', 'b64']) if (Object.hasOwn(header, name)) throw refused(`has "${name}"`)
  if (header['kid'] !== undefined && typeof header['kid'] !== 'string')
    throw refused('has a kid that is no text')
  if (header['x5c'] !== undefined) assertCertificates(header['x5c'])
  return Object.freeze(header) as unknown as JwsHeader
})

function assertCertificates(x5c: unknown): void {
  if (!Array.isArray(x5c) || x5c.length === 0) throw refused('has an x5c that is not a list of certificates')
  for (const certificate of x5c) {
    if (typeof certificate !== 'string' || certificate === '' || decodeBase64(certificate) === undefined) {
      throw refused('has an x5c with a member that is not base64')
    }
  }
  Object.freeze(x5c)
}

function malformed(why: string, cause?: unknown): KestError {
  return new KestError('ERR_KEST_ENTRY_MALFORMED', `the header ${why}`, cause === undefined ? {} : { cause })
}

function refused(why: string): KestError {
  return new KestError('ERR_KEST_ENTRY_HEADER', `the header ${why}`)
}

/** A stranger's value in a message: short. */
function show(value: unknown): string {
  return (JSON.stringify(value) ?? 'none').slice(0, 40)
}
