import { type ClientRequest, type Agent as HttpAgent, type IncomingMessage, request } from 'node:http'
import { type Agent as HttpsAgent, request as httpsRequest } from 'node:https'

/** No receiver says more; of a page, the beginning is enough. */
const MAX_BODY_BYTES = 65_536

/** What is asked. */
export interface Post {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly agent: HttpAgent | HttpsAgent
  /** From the connection to the end of the answer, milliseconds. */
  readonly timeoutMs: number
  /** Nobody waits for an answer any more. */
  readonly signal: AbortSignal
}

/** What came. */
export interface Answer {
  readonly status: number
  readonly reason: string
  readonly retryAfter: string | undefined
  /** Its beginning, where it is longer than any receiver's. */
  readonly body: Uint8Array
  /** Who answered, `127.0.0.1:4318`. */
  readonly address: string
}

/**
 * One attempt. That the other side closed an idle connection as it was about to be used is no answer, and no attempt: it
 * is made again on a new one.
 *
 * @throws {Error} whose message names what was asked and why nothing came
 */
export async function post(asked: Post): Promise<Answer> {
  try {
    return await attempt(asked)
  } catch (error) {
    if (error instanceof IdleConnectionClosed && !asked.signal.aborted) return attempt(asked)
    throw error
  }
}

class IdleConnectionClosed extends Error {}

function attempt({ url, headers, body, agent, timeoutMs, signal }: Post): Promise<Answer> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const send = url.protocol === 'https:' ? httpsRequest : request
    const options = { method: 'POST', agent, signal, headers: { ...headers, 'content-length': body.length } }
    let answered = false
    const call: ClientRequest = send(url, options, (response) => {
      answered = true
      read(response).then(settle(resolve), fail)
    })
    const timer = setTimeout(() => call.destroy(new Error(`timed out after ${timeoutMs} ms`)), timeoutMs)
    function settle<T>(then: (value: T) => void): (value: T) => void {
      return (value) => {
        clearTimeout(timer)
        then(value)
      }
    }
    const fail = settle((error: Error) => {
      const idle = call.reusedSocket && !answered && (error as NodeJS.ErrnoException).code === 'ECONNRESET'
      const message = `POST ${url.origin}${url.pathname}: ${describe(error)}`
      reject(idle ? new IdleConnectionClosed(message) : new Error(message, { cause: error }))
    })
    call.on('error', fail)
    call.end(body)
  })
}

/** By its events: to iterate over a response costs as much again as sending a small request. */
function read(response: IncomingMessage): Promise<Answer> {
  const { remoteAddress, remotePort } = response.socket
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const answer = (): void =>
      resolve({
        status: response.statusCode ?? 0,
        reason: response.statusMessage ?? '',
        retryAfter: response.headers['retry-after'],
        body: Buffer.concat(chunks).subarray(0, MAX_BODY_BYTES),
        address: `${remoteAddress}:${remotePort}`,
      })
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length <= MAX_BODY_BYTES) return
      answer()
      response.destroy()
    })
    response.once('end', answer)
    response.on('error', reject)
    response.once('close', () => {
      if (!response.readableEnded) reject(new Error('the answer was cut off'))
    })
  })
}

/** Where a name has several addresses, Node's error holds one for each, and says nothing itself. */
function describe(error: Error): string {
  const each = error instanceof AggregateError ? error.errors.map((one: Error) => one.message).join('; ') : ''
  return error.message || each || String((error as NodeJS.ErrnoException).code)
}
