import { KestConfigError } from '../errors.js'

const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

/**
 * Where somebody publishes keys: https, or http on loopback, and no credentials in it.
 * @param what whose keys, for the error
 * @throws {KestConfigError} for any other URL
 */
export function publishedKeysUrl(value: string | URL, what: string): URL {
  const url = URL.canParse(String(value)) ? new URL(value) : null
  const secure = url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.test(url.hostname))
  if (url === null || !secure || url.username !== '' || url.password !== '') {
    throw new KestConfigError(`${what}: expected an https URL without credentials (http on loopback only)`)
  }
  return url
}

/** Reads a body, and stops at `maxBytes`: what is published is small, and what is larger is not keys. */
export async function readBounded(response: Response, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += (chunk as Uint8Array).byteLength
    // Leaving the loop cancels the stream.
    if (bytes > maxBytes) throw new Error(`more than ${maxBytes} bytes`)
    chunks.push(chunk as Uint8Array)
  }
  return Buffer.concat(chunks)
}
