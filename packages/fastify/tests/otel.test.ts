import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lineage } from './support/world.js'

const PROGRAM = fileURLToPath(new URL('otel/service.mjs', import.meta.url))

/** Where the service calls strangers. */
const PLACES = [
  ...[
    'onRequest',
    'keys',
    'preParsing',
    'preValidation',
    'preHandler',
    'routePreHandler',
    'engine',
    'handler',
    'handlerLater',
  ],
  ...['onSend', 'onResponse', 'onError', 'errorHandler', 'open', 'notFound', 'slow', 'onRequestAbort'],
]

interface Call {
  readonly place: string
  readonly headers: IncomingHttpHeaders
}

const TRACE = '0af7651916cd43dd8448eb211c80319c'

interface Service {
  readonly address: string
  /** What strangers were sent. */
  readonly calls: Call[]
  stop(): Promise<void>
}

/** The service of `otel/service.mjs`, set up as told, and the strangers it calls: a server that remembers every header. */
async function service(setup: string): Promise<Service> {
  const calls: Call[] = []
  const strangers = createServer((request, response) => {
    calls.push({ place: request.url?.slice(1) ?? '', headers: request.headers })
    response.end('thanks')
  })
  // Clients close what is idle. Were it the server, it might be while one of them sends.
  strangers.keepAliveTimeout = 0
  strangers.listen(0, '127.0.0.1')
  await once(strangers, 'listening')
  const { port } = strangers.address() as AddressInfo
  const child = spawn(process.execPath, [PROGRAM, `http://127.0.0.1:${port}`, ...setup.split(' ')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit')
  const failed = exit.then(([code]) => Promise.reject(new Error(`the service ended with ${code}`)))
  const [address] = await Promise.race([once(createInterface(child.stdout), 'line'), failed])
  failed.catch(() => {})
  const stop = async () => {
    child.stdin.end()
    await exit
    strangers.close()
  }
  return { address, calls, stop }
}

/** A request of a peer, with lineage, baggage of its own and a trace. */
async function ask(
  method: 'GET' | 'POST',
  url: string,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const { baggage } = await lineage('alice')
  const headers = {
    baggage: `${baggage},tenant=7`,
    traceparent: `00-${TRACE}-b7ad6b7169203331-01`,
    ...(method === 'POST' && { 'content-type': 'application/json' }),
  }
  const response = await fetch(url, { method, headers, body: method === 'POST' ? '{"a":1}' : null })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** A request whose client leaves while its handler runs. */
async function leaveEarly(url: string, calls: readonly Call[]): Promise<void> {
  const controller = new AbortController()
  const response = fetch(url, { headers: await lineage(), signal: controller.signal }).catch(() => {})
  await expect.poll(() => calls.some(({ place }) => place === 'slow')).toBe(true)
  controller.abort()
  await response
  await expect.poll(() => calls.some(({ place }) => place === 'onRequestAbort')).toBe(true)
}

/** What strangers were told of Kest. */
function leaks(calls: readonly Call[]): string[] {
  return calls.filter(({ headers }) => /kest/i.test(JSON.stringify(headers))).map(({ place }) => place)
}

const SETUPS = [
  'none',
  'sdk',
  'sdk http undici',
  'sdk http undici fastify-first',
  'sdk http undici fastify-last',
  'sdk undici fastify-first',
  'sdk undici fastify-last',
]

describe.each(SETUPS)('beside OpenTelemetry (%s)', (setup) => {
  let running: Service
  beforeAll(async () => {
    running = await service(setup)
  })
  afterAll(() => running.stop())

  it('K-AMBIENT K-SCOPE sends nothing of Kest to strangers, from nowhere in a request', async () => {
    const { address, calls } = running
    const answer = await ask('POST', `${address}/x`)
    expect(answer.status).toBe(200)
    expect((await ask('POST', `${address}/open`)).status).toBe(200)
    expect((await ask('POST', `${address}/nothing`)).status).toBe(404)
    expect((await ask('GET', `${address}/failing`)).status).toBe(503)
    await expect.poll(() => calls.filter(({ place }) => place === 'onResponse').length).toBe(4)
    await leaveEarly(`${address}/slow`, calls)
    expect(new Set(calls.map(({ place }) => place))).toEqual(new Set(PLACES))
    expect(leaks(calls)).toEqual([])
    expect(answer.body).toMatchObject({ operation: 'POST /x' })
    expect(answer.body['baggage']).not.toContainEqual(expect.stringMatching(/kest/i))
  })

  if (setup.includes('sdk'))
    it('K-SPAN has ended the audit span before the handler runs', async () => {
      const { body } = await ask('POST', `${running.address}/x`)
      const spans = body['finished'] as { name: string; trace: string }[]
      const audit = spans.find(({ name }) => name === 'kest.verified.POST /x')
      expect(audit).toBeDefined()
      // With something that continues the caller's trace, the audit span belongs to it.
      if (/http|fastify/.test(setup)) expect([audit?.trace, body['trace']]).toEqual([TRACE, TRACE])
    })

  if (/http|fastify/.test(setup))
    it('hands on the baggage of others', async () => {
      const { address, calls } = running
      calls.length = 0
      await ask('POST', `${address}/x`)
      expect(calls.find(({ place }) => place === 'handler')?.headers['baggage']).toBe('tenant=7')
    })
})

it.each(['sdk http undici', 'sdk undici fastify-last'])(
  'without Kest in between, instrumentation sends the passport to strangers (%s)',
  async (setup) => {
    const { address, calls, stop } = await service(`${setup} no-kest`)
    await ask('POST', `${address}/x`)
    await stop()
    expect(leaks(calls)).toContain('handler')
  },
)
