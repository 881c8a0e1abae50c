import http from 'node:http'
import axios from 'axios'
import got, { type Headers } from 'got'
import { startHttp2Server } from '../../../tests/outbound/server.js'
import { type Answered, describeOutbound, type Sending, type Way } from '../../../tests/outbound/suite.js'
import { createKestAgent, patchHttp } from '../src/index.js'
import { http2Sessions, sendRequest, sendStream } from './support/clients.js'

const agentOf = () => new http.Agent({ keepAlive: true, maxSockets: 2 })

async function axiosSend(
  url: string,
  { body, signal, headers, method = 'GET' }: Sending,
  httpAgent?: http.Agent,
  others: object = {},
): Promise<Answered> {
  const { status, data } = await axios.request<string, { status: number; data: string }>({
    url,
    method,
    ...(headers && { headers }),
    ...(body !== undefined && { data: body }),
    ...(signal && { signal }),
    httpAgent,
    adapter: 'http',
    proxy: false,
    responseType: 'text',
    validateStatus: () => true,
    ...others,
  })
  return { status, text: data }
}

async function gotSend(
  url: string,
  { body, headers, method, signal }: Sending,
  agent: http.Agent,
): Promise<Answered> {
  const { statusCode, body: text } = await got(url, {
    ...(body !== undefined && { body }),
    ...(method !== undefined && { method: method as 'POST' }),
    ...(signal !== undefined && { signal }),
    headers: { ...(headers as Headers) },
    agent: { http: agent },
    throwHttpErrors: false,
    retry: { limit: 0 },
  })
  return { status: statusCode, text }
}

/** With the patch, and with an agent of Kest's alone. */
function ways(
  send: (url: string, sending: Sending, agent: http.Agent) => Promise<Answered>,
  follows: boolean,
): Record<'patchHttp' | 'createKestAgent', Way> {
  return {
    patchHttp: {
      follows,
      open(rule) {
        const [unpatch, agent] = [patchHttp(rule), agentOf()]
        const close = (): void => {
          unpatch()
          agent.destroy()
        }
        return { send: (url, sending = {}) => send(url, sending, agent), close }
      },
    },
    createKestAgent: {
      follows,
      open(rule) {
        const agent = createKestAgent(agentOf(), rule)
        return { send: (url, sending = {}) => send(url, sending, agent), close: () => agent.destroy() }
      },
    },
  }
}

const raw = ways((url, sending, agent) => sendRequest(url, { ...sending, agent }), false)
/** Nothing can be held back there. */
const http2: Way = {
  follows: false,
  waits: false,
  serve: startHttp2Server,
  open(rule) {
    const [unpatch, sessions] = [patchHttp(rule), http2Sessions()]
    const close = (): void => {
      unpatch()
      sessions.close()
    }
    const send = async (url: string, sending?: Sending): Promise<Answered> => {
      const { origin, pathname, search } = new URL(url)
      return sendStream(sessions.to(origin), pathname + search, sending)
    }
    return { send, close }
  },
}

let clients = 0

/** Its adapter keeps the sessions, each for the same options, until they have had nothing to do for some time. */
const axiosHttp2: Way = {
  ...http2,
  open(rule) {
    const unpatch = patchHttp(rule)
    const http2Options = { sessionTimeout: 100, client: clients++ }
    const send = (url: string, sending: Sending = {}): Promise<Answered> =>
      axiosSend(url, sending, undefined, { httpVersion: 2, http2Options })
    return { send, close: unpatch }
  },
}

describeOutbound('node:http with patchHttp', raw.patchHttp)
describeOutbound('node:http with createKestAgent', raw.createKestAgent)
describeOutbound('axios with patchHttp', ways(axiosSend, true).patchHttp)
describeOutbound('got with createKestAgent', ways(gotSend, true).createKestAgent)
describeOutbound('node:http2 with patchHttp', http2)
describeOutbound('axios over HTTP/2 with patchHttp', axiosHttp2)
