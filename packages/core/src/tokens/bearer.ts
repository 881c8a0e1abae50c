import { KestError } from '../errors.js'

/** RFC 6750 §2.1: `b64token`. One class of characters and one suffix: linear whatever the input. */
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/

/** A header has an algorithm, a key's name, perhaps certificates; it is parsed before anything about the token is known. */
const MAX_HEADER_LENGTH = 4096

/**
 * The bearer token of an `Authorization` header, or `null` when there is none: no header, or another scheme. The
 * scheme's name is case-insensitive (RFC 9110 §11.1).
 *
 * Not checked here: that the token is a JWT, or anybody's.
 *
 * @throws {KestError} `ERR_KEST_TOKEN` for several headers, an empty or malformed token, more than `maxBytes`, or more
 *   than 4096 characters before its first dot.
 */
export function readBearer(
  authorization: string | readonly string[] | undefined,
  maxBytes: number,
): string | null {
  const lines: readonly unknown[] = Array.isArray(authorization) ? authorization : [authorization]
  if (lines.length > 1) throw new KestError('ERR_KEST_TOKEN', 'more than one Authorization header')
  const [line] = lines
  if (line === undefined) return null
  if (typeof line !== 'string') {
    throw new KestError('ERR_KEST_TOKEN', 'the Authorization header is not a string')
  }

  const value = line.trim()
  const space = value.indexOf(' ')
  const scheme = space === -1 ? value : value.slice(0, space)
  if (scheme.toLowerCase() !== 'bearer') return null
  const token = space === -1 ? '' : value.slice(space + 1).trimStart()
  if (token.length > maxBytes) {
    throw new KestError(
      'ERR_KEST_TOKEN',
      `bearer token of ${token.length} bytes; at most ${maxBytes} are read`,
    )
  }
  if (!TOKEN.test(token)) {
    throw new KestError('ERR_KEST_TOKEN', 'Authorization: expected "Bearer" and one token (RFC 6750 §2.1)')
  }
  if (token.indexOf('.') > MAX_HEADER_LENGTH) {
    throw new KestError(
      'ERR_KEST_TOKEN',
      `the header of a bearer token has at most ${MAX_HEADER_LENGTH} characters`,
    )
  }
  return token
}

/**
 * Refuses what `node:http` hides: of several `Authorization` lines it keeps the first, and whoever stood in front
 * may have judged another.
 *
 * @param rawHeaders names and values by turns, as `IncomingMessage.rawHeaders`
 * @throws {KestError} `ERR_KEST_TOKEN`
 */
export function assertOneAuthorization(rawHeaders: readonly string[]): void {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 13 && name.toLowerCase() === 'authorization' && ++count > 1) {
      throw new KestError('ERR_KEST_TOKEN', 'more than one Authorization header')
    }
  }
}
