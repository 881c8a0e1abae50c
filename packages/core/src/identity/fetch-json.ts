import { readBounded } from './published-keys.js'

/** Bounds of one request. */
export interface FetchBounds {
  readonly fetch: typeof fetch
  readonly timeoutMs: number
  readonly maxBytes: number
}

/** What a server answered, if that was JSON. */
export interface JsonAnswer {
  readonly status: number
  /** `undefined` unless the status is 200. */
  readonly body: unknown
}

/**
 * Asks for JSON at a URL that an operator named, and at no other: redirects are not followed. The body is bounded while
 * it is read, and of an answer that is not 200 nothing is read.
 *
 * @throws whatever stops it: network, time, size, form. No message has anything of the body.
 */
export async function fetchJson(
  url: URL,
  { fetch, timeoutMs, maxBytes }: FetchBounds,
  init: RequestInit = {},
): Promise<JsonAnswer> {
  const response = await fetch(url, {
    ...init,
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    return { status: response.status, body: undefined }
  }
  const bytes = await readBounded(response, maxBytes)
  return { status: 200, body: parsed(bytes) }
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    // The cause would quote what was sent.
    throw new Error('the answer is not JSON')
  }
}
