import { SpiffeError, type SpiffeErrorCode } from '../errors.js'

export const SCHEME = 'spiffe://'
/** SPIFFE-ID §2.3: what every implementation takes, and none writes more of. */
export const MAX_ID_BYTES = 2048
/** SPIFFE-ID §2.3, as RFC 3986 bounds a host. */
const MAX_TRUST_DOMAIN_BYTES = 255

const TRUST_DOMAIN = /^[a-z0-9._-]+$/
const SEGMENT = /^[a-zA-Z0-9._-]+$/
/** Segments, each behind a slash, of which none is "." or "..". */
const PATH = /^(?:\/(?!\.\.?(?:\/|$))[a-zA-Z0-9._-]+)*$/

/** SPIFFE-ID §2.1. */
export function checkTrustDomainName(name: string, code: SpiffeErrorCode): void {
  const fail = (why: string): never => {
    throw new SpiffeError(code, `trust domain ${quoted(name)}: ${why}`)
  }
  if (name === '') fail('it is empty')
  if (name.length > MAX_TRUST_DOMAIN_BYTES)
    fail(`${name.length} characters, allowed are ${MAX_TRUST_DOMAIN_BYTES}`)
  if (!TRUST_DOMAIN.test(name)) fail('allowed are a-z, 0-9, ".", "-" and "_", without user or port')
}

/** SPIFFE-ID §2.2: empty, or segments each behind a slash. */
export function checkPath(path: string, id: string): void {
  if (PATH.test(path)) return
  const fail = (why: string): never => {
    throw new SpiffeError('ERR_SPIFFE_ID', `SPIFFE ID ${quoted(id)}: ${why}`)
  }
  for (const segment of path.slice(1).split('/')) {
    if (segment === '') fail('a segment of its path is empty, or it ends with a slash')
    if (segment === '.' || segment === '..') fail('a segment of its path is "." or ".."')
    if (!SEGMENT.test(segment)) fail('in a path, allowed are a-z, A-Z, 0-9, ".", "-" and "_"')
  }
}

/** A stranger's text for a message: escaped and short. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)
}
