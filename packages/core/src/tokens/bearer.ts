import { KestError } from '../errors.js'

/** RFC 6750 §2.1: `b64token`. One class of characters and one suffix: linear whatever the input. */
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/

/** A header has an algorithm, a key's name, perhaps certificates; it is parsed before anything about the token is known. */
const MAX_HEADER_LENGTH = 4096

/** The header that tokens are in where nobody says otherwise. */
export const AUTHORIZATION = 'authorization'

/** A token, and how it came. */
export interface Credential {
  /** `null`: in a header of its own, where a token is all that there is. */
  readonly scheme: 'bearer' | 'dpop' | null
  readonly token: string
}

/** How tokens are read. */
export interface CredentialRules {
  /** In lower case. */
  readonly header: string
  readonly maxBytes: number
  /** Whether `Authorization: DPoP` is looked at, too. */
  readonly dpop: boolean
}

/**
 * The token in a header, or `null` when there is none: no header, or another scheme. The scheme's name is case-insensitive
 * (RFC 9110 §11.1). In any other header than `Authorization` the token stands by itself.
 *
 * Not checked here: that the token is a JWT, or anybody's.
 *
 * @throws {KestError} `ERR_KEST_TOKEN` for several headers, an empty or malformed token, more than `maxBytes`, or more
 *   than 4096 characters before its first dot.
 */
export function readCredential(
  value: string | readonly string[] | undefined,
  { header, maxBytes, dpop }: CredentialRules,
): Credential | null {
  const lines: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (lines.length > 1) throw refused(`more than one ${nameOf(header)} header`)
  const [line] = lines
  if (line === undefined) return null
  if (typeof line !== 'string') throw refused(`the ${nameOf(header)} header is not a string`)

  const text = line.trim()
  if (header !== AUTHORIZATION) {
    if (text.length <= maxBytes && !TOKEN.test(text)) throw refused(`${nameOf(header)}: expected one token`)
    return { scheme: null, token: bounded(text, maxBytes) }
  }
  const space = text.indexOf(' ')
  const scheme = (space === -1 ? text : text.slice(0, space)).toLowerCase()
  if (scheme !== 'bearer' && !(dpop && scheme === 'dpop')) return null
  const token = space === -1 ? '' : text.slice(space + 1).trimStart()
  if (token.length <= maxBytes && !TOKEN.test(token))
    throw refused('Authorization: expected "Bearer" and one token (RFC 6750 §2.1)')
  return { scheme, token: bounded(token, maxBytes) }
}

function bounded(token: string, maxBytes: number): string {
  if (token.length > maxBytes)
    throw refused(`bearer token of ${token.length} bytes; at most ${maxBytes} are read`)
  if (token.indexOf('.') > MAX_HEADER_LENGTH)
    throw refused(`the header of a bearer token has at most ${MAX_HEADER_LENGTH} characters`)
  return token
}

/**
 * Refuses what `node:http` hides: of several `Authorization` lines it keeps the first, and whoever stood in front
 * may have judged another. Of other headers it joins the lines, which makes no token.
 *
 * @param rawHeaders names and values by turns, as `IncomingMessage.rawHeaders`
 * @throws {KestError} `ERR_KEST_TOKEN`
 */
export function assertOneAuthorization(rawHeaders: readonly string[]): void {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === AUTHORIZATION.length && name.toLowerCase() === AUTHORIZATION && ++count > 1)
      throw refused('more than one Authorization header')
  }
}

function nameOf(header: string): string {
  return header === AUTHORIZATION ? 'Authorization' : header
}

function refused(why: string): KestError {
  return new KestError('ERR_KEST_TOKEN', why)
}
