import { type IncomingMessage, request } from 'node:http'
import { request as secureRequest } from 'node:https'

/** What a server said, as far as anybody here wants to know. */
export interface Said {
  readonly status: number
  readonly date: string | undefined
  /** This clock, before it was asked and after it had answered; milliseconds since the epoch. */
  readonly askedAt: number
  readonly heardAt: number
}

export interface Asking {
  readonly socketPath?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/**
 * One GET, on a connection of its own; of the answer, its head alone.
 * @throws {Error} when no answer comes, or the signal says so
 */
export function ask(url: URL, { socketPath, headers = {}, signal }: Asking): Promise<Said> {
  return new Promise((resolve, reject) => {
    const askedAt = Date.now()
    const send = url.protocol === 'https:' ? secureRequest : request
    const call = send(url, {
      agent: false,
      headers,
      signal,
      ...(socketPath === undefined ? {} : { socketPath }),
    })
    call.on('response', (response: IncomingMessage) => {
      const { statusCode: status = 0, headers: said } = response
      resolve({ status, date: said.date, askedAt, heardAt: Date.now() })
      call.destroy()
    })
    call.on('error', reject)
    call.end()
  })
}
