import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Exchange } from '../../tests/support/recording.js'

/** Stands before an agent, hands everything on, and remembers it. Ends with the test. */
export interface Recorder {
  readonly url: string
  /** What has gone through since it was last asked. */
  taken(): readonly Exchange[]
}

/** @param url of the agent's API */
export async function recordBefore(url: string): Promise<Recorder> {
  let exchanges: Exchange[] = []
  const server = createServer(async (request, response) => {
    const body = await textOf(request)
    const { authorization = '', 'content-type': type = '' } = request.headers
    const headers = { authorization, 'content-type': type }
    const { status, ...answered } = await fetch(`${url}/is_authorized`, {
      method: 'POST',
      headers,
      body,
    }).then(async (answer) => ({ status: answer.status, text: await answer.text() }))
    exchanges.push({ asked: parsed(body), status, answer: lasting(parsed(answered.text)) })
    response.writeHead(status, { 'content-type': 'application/json' }).end(answered.text)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken: () => {
      // What is asked at once is answered in any order.
      const all = exchanges.sort((a, b) => (JSON.stringify(a.asked) < JSON.stringify(b.asked) ? -1 : 1))
      exchanges = []
      return all
    },
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk
  return text
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** The agent has its diagnostics in any order. */
function lasting(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(lasting).sort()
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, lasting(member)]))
}
