import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { KestError } from '@kest/core'
import { expect, it, onTestFinished } from 'vitest'
import { NextHop } from '../src/hop/next-hop.js'

interface Logged {
  readonly code: string | null
  readonly msg: string
}

function hop(send: (path: string, signal: AbortSignal) => Promise<Response>, timeoutMs = 60_000) {
  const lines: Logged[] = []
  const log = (line: string): void => void lines.push(JSON.parse(line))
  const fetched = async (path: string, signal: AbortSignal) => {
    const response = await send(path, signal)
    return { status: response.status, text: () => response.text() }
  }
  return { lines, next: new NextHop({ service: 'hop1', timeoutMs, send: fetched, log }) }
}

async function serverOf(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

it('passes on what the next hop answers, a refusal as well', async () => {
  const origin = await serverOf(({ url }, response) => {
    if (url === '/confidential') response.writeHead(403).end('{"code":"ERR_KEST_DENIED"}')
    else response.end('{"service":"hop2"}')
  })
  const { next, lines } = hop((path, signal) => fetch(origin + path, { signal }))
  expect(await next.ask('/')).toEqual({ status: 200, body: { service: 'hop1', next: { service: 'hop2' } } })
  expect(await next.ask('/confidential')).toEqual({
    status: 403,
    body: { service: 'hop1', next: { code: 'ERR_KEST_DENIED' } },
  })
  expect(lines).toEqual([])
})

it.each<[string, RequestListener]>([
  ['says nothing', () => {}],
  ['begins an answer', (_, response) => response.write('{"service":')],
])('answers 504 ERR_NEXT_TIMEOUT for a hop that %s, and hangs', async (_, listener) => {
  const origin = await serverOf(listener)
  const { next, lines } = hop((path, signal) => fetch(origin + path, { signal }), 50)
  expect(await next.ask('/')).toEqual({ status: 504, body: { service: 'hop1', code: 'ERR_NEXT_TIMEOUT' } })
  expect(lines).toMatchObject([{ code: 'ERR_NEXT_TIMEOUT', msg: 'nothing within 50 ms' }])
})

it.each(['<html>', '', '"fine"', 'null', '{"status":"fine"}', '[]'])(
  'answers 502 ERR_NEXT_ANSWER for what is no answer of a hop: %s',
  async (text) => {
    const { next } = hop(async () => new Response(text))
    expect(await next.ask('/')).toEqual({ status: 502, body: { service: 'hop1', code: 'ERR_NEXT_ANSWER' } })
  },
)

it('answers 502 ERR_NEXT_UNREACHABLE while it is gone, and says once that it is, and once that it is back', async () => {
  let send = (): Promise<Response> =>
    Promise.reject(new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') }))
  const { next, lines } = hop(() => send())
  for (let i = 0; i < 3; i++) {
    expect(await next.ask('/')).toEqual({
      status: 502,
      body: { service: 'hop1', code: 'ERR_NEXT_UNREACHABLE' },
    })
  }
  send = async () => new Response('{"service":"hop2"}')
  for (let i = 0; i < 3; i++) await next.ask('/')
  expect(lines).toMatchObject([
    { code: 'ERR_NEXT_UNREACHABLE', msg: 'fetch failed: connect ECONNREFUSED' },
    { code: null, msg: 'the next hop answers again' },
  ])
})

it('leaves to Kest what Kest refused to send', async () => {
  const refusal = new KestError('ERR_KEST_TOO_LARGE', 'the passport fits no header')
  const { next } = hop(() => Promise.reject(new TypeError('fetch failed', { cause: refusal })))
  await expect(next.ask('/')).rejects.toBe(refusal)
})
