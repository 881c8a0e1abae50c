import { createHash } from 'node:crypto'

/** RFC 9530 §2, with the one algorithm there is. */
const DIGEST = /^sha-256=:[A-Za-z0-9+/]{43}=:$/

/** The digest of some content, `sha-256=:<base64>:` as by RFC 9530, of the bytes that travel. */
export function contentDigest(chunks: readonly (Uint8Array | string)[]): string {
  const hash = createHash('sha256')
  for (const chunk of chunks) hash.update(chunk)
  return `sha-256=:${hash.digest('base64')}:`
}

export function isContentDigest(value: unknown): value is string {
  return typeof value === 'string' && DIGEST.test(value)
}
