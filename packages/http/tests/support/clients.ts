import http, { type ClientRequest, type RequestOptions } from 'node:http'
import http2, { type ClientHttp2Session } from 'node:http2'
import { text } from 'node:stream/consumers'
import type { Answered, Sending } from '../../../../tests/outbound/suite.js'

/** One request by node:http, with its answer read in the listeners of its response. */
export function sendRequest(
  url: string | URL,
  { body, ...sending }: Sending & RequestOptions = {},
  made: (request: ClientRequest) => void = () => {},
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, sending as RequestOptions, (response) => {
      const { statusCode: status = 0 } = response
      text(response).then((read) => resolve({ status, text: read }), reject)
    })
    request.on('error', reject)
    made(request)
    request.end(body)
  })
}

/** One request on a session of node:http2, with its answer read in the listeners of its stream. */
export function sendStream(
  session: ClientHttp2Session,
  path: string,
  { body, method = 'GET', headers = {}, signal }: Sending = {},
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const stream = session.request(
      { ':method': method, ':path': path, ...headers },
      { endStream: body === undefined, ...(signal && { signal }) },
    )
    stream.on('error', reject)
    stream.on('response', ({ ':status': status = 0 }) => {
      text(stream).then((read) => resolve({ status, text: read }), reject)
    })
    if (body !== undefined) stream.end(body)
  })
}

/** Sessions of node:http2, one for each origin, which whoever comes first has opened. */
export function http2Sessions(options: http2.ClientSessionOptions | http2.SecureClientSessionOptions = {}): {
  to(origin: string): ClientHttp2Session
  close(): void
} {
  const sessions = new Map<string, ClientHttp2Session>()
  return {
    to(origin) {
      const open = sessions.get(origin) ?? http2.connect(origin, options)
      open.on('error', () => sessions.delete(origin))
      sessions.set(origin, open)
      return open
    },
    close() {
      for (const session of sessions.values()) session.destroy()
    },
  }
}
