import type { Pool } from 'undici'

/** Where to, and within which bounds. */
export interface PostOptions {
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly maxAnswerBytes: number
  readonly signal: AbortSignal
}

/** An answer, whole. */
export interface Posted {
  readonly status: number
  readonly body: string
}

/** The answer is longer than it may be. */
export class AnswerTooLongError extends Error {
  constructor(bytes: number) {
    super(`the answer has more than ${bytes} bytes`)
    this.name = 'AnswerTooLongError'
  }
}

/**
 * Posts JSON and reads the answer, as far as it may be long. Follows no redirect.
 *
 * @throws {AnswerTooLongError} without reading the rest; whatever undici throws, or the reason of `signal`
 */
export async function postJson(pool: Pool, body: string, options: PostOptions): Promise<Posted> {
  const { path, headers, maxAnswerBytes, signal } = options
  const response = await pool.request({ method: 'POST', path, headers, body, signal })
  const chunks: Buffer[] = []
  let bytes = 0
  // Leaving the loop destroys the stream, and with it the connection.
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxAnswerBytes) throw new AnswerTooLongError(maxAnswerBytes)
    chunks.push(chunk)
  }
  return { status: response.statusCode, body: Buffer.concat(chunks).toString('utf8') }
}
