import { once } from 'node:events'
import http, { type ClientRequest, type RequestOptions } from 'node:http'
import http2 from 'node:http2'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { startHttp2Server, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { boundRefusal, kest, within } from '../../../tests/outbound/services.js'
import { markWritten } from '../../core/dist/index.js'
import { createKestAgent, patchHttp, type Unpatch } from '../src/index.js'
import { sendStream } from './support/clients.js'

const BIND = { bind: ['method', 'path', 'body'] } as const

let hop2: TestServer
let modern: TestServer
let unpatch: Unpatch
beforeAll(async () => {
  hop2 = await startServer()
  modern = await startHttp2Server()
  unpatch = patchHttp({
    kest,
    propagateTo: [hop2.origin, modern.origin],
    hop: { ...BIND, maxBodyBytes: 100_000 },
  })
})
afterEach(() => {
  for (const { received } of [hop2, modern]) received.length = 0
})
afterAll(async () => {
  unpatch()
  await Promise.all([hop2.close(), modern.close()])
})

const refusals = ({ origin, received }: TestServer) =>
  Promise.all(received.map((request) => boundRefusal(request, origin)))

/** What is answered to a request that is written as the test says, or why it was not sent. */
function sent(write: (request: ClientRequest) => unknown, options: RequestOptions = {}): Promise<unknown> {
  return within(
    'op',
    () =>
      new Promise((resolve) => {
        const request = http.request(`${hop2.origin}/x?a=1`, { method: 'POST', ...options })
        request.on('error', (error) => resolve((error as { code?: unknown }).code))
        request.on('response', (response) => resolve(text(response)))
        write(request)
      }),
  )
}

describe('a request whose token is bound to it', () => {
  it.each<[string, (request: ClientRequest) => unknown]>([
    ['at once', (request) => request.end('order')],
    ['in other letters', (request) => request.end('6f72646572', 'hex')],
    [
      'in pieces, each when the last was taken',
      (request) => request.write('or', () => request.write(Buffer.from('der'), () => request.end())),
    ],
    ['by a pipe', (request) => Readable.from([Buffer.from('or'), Buffer.from('der')]).pipe(request)],
    [
      'by a pipeline',
      (request) =>
        pipeline(async function* () {
          yield 'or'
          yield 'der'
        }, request),
    ],
    [
      'into memory that is used again',
      (request) => {
        const memory = Buffer.from('orde')
        request.write(memory)
        memory.fill(0)
        request.end('r')
      },
    ],
    [
      'after its headers were flushed',
      (request) => {
        request.flushHeaders()
        request.end('order')
      },
    ],
  ])('K-BODY has the digest of what is written: %s', async (_, write) => {
    expect(await sent(write)).toBe('order')
    expect(await refusals(hop2)).toEqual([null])
  })

  it('K-BODY has the digest of nothing where nothing is written', async () => {
    await sent((request) => request.end(), { method: 'GET' })
    await sent((request) => request.end('', () => {}))
    await sent((request) => request.end(), { headers: ['host', 'hop2', 'x-a', '1'] as never })
    expect(hop2.received.map(({ body }) => body)).toEqual(['', '', ''])
    expect(await refusals(hop2)).toEqual([null, null, null])
  })

  it('K-BODY takes a body in pieces of a pipe that is wider than any buffer', async () => {
    const piece = Buffer.alloc(16_384, 'x')
    expect(
      await sent((request) => Readable.from([piece, piece, piece, piece, piece]).pipe(request)),
    ).toHaveLength(81_920)
    expect(await refusals(hop2)).toEqual([null])
  })

  it('K-BODY writes in few pieces what was written in many, which whoever is relayed chooses', async () => {
    const write = vi.spyOn(http.OutgoingMessage.prototype, 'write')
    onTestFinished(() => write.mockRestore())
    const answer = await sent((request) => {
      for (let n = 0; n < 3_000; n++) request.write(n % 2 === 0 ? 'a' : 'b')
      request.end('c')
    })
    expect(answer).toBe(`${'ab'.repeat(1_500)}c`)
    expect(await refusals(hop2)).toEqual([null])
    const asked = write.mock.contexts.filter((one) => one instanceof http.ClientRequest)
    expect(asked.length).toBeGreaterThan(0)
    expect(asked.length).toBeLessThan(10)
  })

  it('K-BODY refuses what is longer than its bound, announced or not, and tells who writes', async () => {
    const long = 'x'.repeat(100_001)
    let told: unknown
    expect(await sent((request) => request.end(long))).toBe('ERR_KEST_OUTBOUND')
    expect(
      await sent((request) =>
        request.write(long, (error) => {
          told = error
        }),
      ),
    ).toBe('ERR_KEST_OUTBOUND')
    expect(told).toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
    const headers = { 'content-length': 100_001 }
    expect(await sent((request) => request.write('x'), { headers })).toBe('ERR_KEST_OUTBOUND')
    expect(hop2.received).toEqual([])
  })

  it('K-BODY refuses to wait for 100 Continue, since its header comes after its body', async () => {
    const headers = { expect: '100-continue' }
    expect(await sent(() => {}, { headers })).toBe('ERR_KEST_OUTBOUND')
    expect(hop2.received).toEqual([])
  })

  it('K-BODY leaves requests without a passport as they are', async () => {
    const request = http.request(`${hop2.origin}/x`, { method: 'POST', headers: { expect: '100-continue' } })
    await once(request, 'continue')
    request.end('order')
    await once(request, 'response')
    expect(hop2.received.map(({ body, headers }) => [body, headers['baggage']])).toEqual([
      ['order', undefined],
    ])
  })

  it('K-BODY is bound by an agent alone, too', async () => {
    const agent = createKestAgent(new http.Agent(), { kest, propagateTo: [hop2.origin], hop: BIND })
    expect(await sent((request) => Readable.from(['or', 'der']).pipe(request), { agent })).toBe('order')
    expect(await refusals(hop2)).toEqual([null])
    agent.destroy()
  })
})

describe('a stream of HTTP/2 whose token is bound to it', () => {
  it('K-BODY goes without a body, and with one that was said before', async () => {
    const session = http2.connect(modern.origin)
    await within('op', async () => {
      await sendStream(session, '/x?a=1')
      await sendStream(session, '/y', { method: 'DELETE' })
      const failed = async () => sendStream(session, '/z', { method: 'POST', body: 'order' })
      await expect(failed()).rejects.toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
      const said = { hop: BIND, method: 'POST', body: 'order' }
      const { baggage } = await kest.inject({} as { baggage: string }, `${modern.origin}/z`, said)
      await sendStream(session, '/z', {
        method: 'POST',
        body: 'order',
        headers: { baggage: markWritten(baggage) },
      })
    })
    session.destroy()
    expect(modern.received.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'GET /x?a=1',
      'DELETE /y',
      'POST /z',
    ])
    expect(await refusals(modern)).toEqual([null, null, null])
  })

  it('K-BODY ends the stream that it says is without a body', async () => {
    const session = http2.connect(modern.origin)
    const stream = await within('op', () => session.request({ ':method': 'GET', ':path': '/x' }))
    stream.on('error', () => {})
    expect(stream.writableEnded).toBe(true)
    expect(await text(stream)).toBe('')
    session.destroy()
    expect(await refusals(modern)).toEqual([null])
  })
})
