import axios from 'axios'
import { Agent, interceptors, request } from 'undici'
import { describeOutbound, type Sending, type Way } from '../../../tests/outbound/suite.js'
import { kestInterceptor, patchGlobalFetch } from '../src/index.js'

type Fetch = typeof globalThis.fetch

async function fetching(fetch: Fetch, url: string, { headers, ...rest }: Sending) {
  // Its own type knows no lists of values.
  const init = { ...rest, headers: headers as Record<string, string> }
  const response = await fetch(url, init)
  return { status: response.status, text: await response.text() }
}

const dispatching = (agent: Agent) => ({
  send: async (url: string, { headers, ...rest }: Sending = {}) => {
    const { statusCode, body } = await request(url, {
      ...(rest as object),
      ...(headers && { headers }),
      dispatcher: agent,
    })
    return { status: statusCode, text: await body.text() }
  },
  close: () => agent.close(),
})

const connections = { connections: 2 }
const redirect = { maxRedirections: 5 }

async function axiosSend(url: string, { body, signal, headers, method = 'GET' }: Sending) {
  const { status, data } = await axios.request<string, { status: number; data: string }>({
    url,
    method,
    ...(headers && { headers }),
    ...(body !== undefined && { data: body }),
    ...(signal && { signal }),
    adapter: 'fetch',
    responseType: 'text',
    validateStatus: () => true,
  })
  return { status, text: data }
}

const WAYS: Readonly<Record<string, Way>> = {
  kestInterceptor: {
    follows: true,
    open: (rule) =>
      dispatching(
        new Agent(connections).compose(
          kestInterceptor(rule),
          interceptors.redirect(redirect),
        ) as unknown as Agent,
      ),
  },
  patchGlobalFetch: {
    follows: true,
    open(rule) {
      const unpatch = patchGlobalFetch(rule)
      return { send: (url, sending = {}) => fetching(globalThis.fetch, url, sending), close: unpatch }
    },
  },
  'axios by fetch with patchGlobalFetch': {
    follows: true,
    open(rule) {
      const unpatch = patchGlobalFetch(rule)
      return { send: (url, sending = {}) => axiosSend(url, sending), close: unpatch }
    },
  },
}

for (const [name, way] of Object.entries(WAYS)) describeOutbound(name, way)
