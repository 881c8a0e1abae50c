import http, { type ClientRequest, type RequestOptions } from 'node:http'
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
