import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import type { AdapterOptions } from '../adapter/ingress.js'
import type { InboundAdapter, SuiteRequest, SuiteRoute } from './inbound-adapter.js'
import { assertNothingDone, assertRefused, within } from './inbound-checks.js'
import { type Answer, AUDIENCE, boundLineage, InboundWorld, rawRequest, until } from './inbound-world.js'

const HOP = { binding: 'hop', audiences: [AUDIENCE] } as const
const ALL: AdapterOptions = { ...HOP, require: ['method', 'path', 'body'] }
const TEXT = ['content-type: text/plain']
const ORDER = { method: 'POST', path: '/x?a=1&b=2', body: 'order 7' } as const

/** The routes: one that answers with what it read, one that reads nothing, and one that must not run. */
function routes(): SuiteRoute[] {
  const read = async (request: SuiteRequest) => ({ user: request.kest.user, body: await request.body() })
  const shared = { policy: 'test', handle: read }
  return [
    { ...shared, method: 'POST', path: '/x' },
    { ...shared, method: 'GET', path: '/x', handle: ({ kest }) => ({ user: kest.user, body: '' }) },
    { ...shared, method: 'POST', path: '/admin' },
  ]
}

function assertRead({ status, body }: Answer, text: string): void {
  assert.equal(status, 200, body)
  assert.deepEqual(JSON.parse(body), { user: 'alice', body: text })
}

/** What every adapter does with tokens that are bound to their request (K-BODY); part of `testInbound`. */
export function testBoundRequests(
  it: (title: string, test: () => Promise<void>) => unknown,
  adapter: InboundAdapter,
): void {
  const test = (title: string, run: (world: InboundWorld) => Promise<void>): unknown =>
    it(title, () => within(new InboundWorld(), run))

  test('K-BODY lets in the request that a token is bound to, whose body the handler reads as ever', async (world) => {
    const port = await world.serve(adapter, ALL, routes())
    const get = { method: 'GET', path: '/x', body: null }
    assertRead(await world.send(port, 'GET /x', [`baggage: ${await boundLineage(get)}`]), '')
    for (const body of ['order 7', 'order '.repeat(10_000)]) {
      const baggage = await boundLineage({ ...ORDER, body })
      assertRead(await world.send(port, `POST ${ORDER.path}`, [...TEXT, `baggage: ${baggage}`], body), body)
    }
  })

  test('K-BODY refuses the token of a request with another one, and runs nothing', async (world) => {
    const port = await world.serve(adapter, ALL, routes())
    const own = async (bind?: Parameters<typeof boundLineage>[1]) =>
      `baggage: ${await boundLineage(ORDER, bind)}`
    for (const [line, body, header] of [
      ['POST /x?a=1&b=2', 'order 8', await own()],
      ['POST /x?a=1&b=2', 'order 7 ', await own()],
      ['POST /x?a=1&b=2', '', await own()],
      ['POST /x?b=2&a=1', 'order 7', await own()],
      ['POST /x', 'order 7', await own()],
      ['POST /admin?a=1&b=2', 'order 7', await own()],
      ['PUT /x?a=1&b=2', 'order 7', await own()],
      ['POST /x?a=1&b=2', 'order 7', await own(['method', 'path'])],
      ['POST /x?a=1&b=2', 'order 7', await own(['method', 'body'])],
      ['POST /x?a=1&b=2', 'order 7', await own(['path', 'body'])],
    ] as const)
      assertRefused(await world.send(port, line, [...TEXT, header], body), 403, 'ERR_KEST_BINDING')
    assertNothingDone(world)
  })

  test('K-BODY refuses what a token is bound to and is not, also where nothing is required', async (world) => {
    const port = await world.serve(adapter, HOP, routes())
    const refused = [...TEXT, `baggage: ${await boundLineage(ORDER)}`]
    assertRefused(await world.send(port, `POST ${ORDER.path}`, refused, 'order 8'), 403, 'ERR_KEST_BINDING')
    const own = [...TEXT, `baggage: ${await boundLineage(ORDER)}`]
    assertRead(await world.send(port, `POST ${ORDER.path}`, own, 'order 7'), 'order 7')
  })

  test('K-BODY refuses a body that is longer than its bound, announced or not, and answers the next request', async (world) => {
    const port = await world.serve(adapter, { ...ALL, maxBodyBytes: 1000 }, routes())
    const long = 'x'.repeat(100_000)
    const lines = async (body: string) => [...TEXT, `baggage: ${await boundLineage({ ...ORDER, body })}`]
    const socket = await world.connect(port)
    let answers = ''
    socket.on('data', (chunk) => {
      answers += chunk
    })
    socket.write(rawRequest(`POST ${ORDER.path}`, await lines(long), long))
    await until(() => answers.includes('ERR_KEST_BINDING'), 'the first refusal')
    socket.write(chunked(await lines(long), [long]))
    await until(() => answers.split('ERR_KEST_BINDING').length > 2, 'the second refusal')
    socket.write(rawRequest(`POST ${ORDER.path}`, await lines('order 7'), 'order 7'))
    await until(() => answers.includes('order 7'), 'the answer to the next')
    assert.equal(world.ran, 1)
  })

  test('K-BODY takes a body in chunks, one that waits for 100 Continue, and none in chunks', async (world) => {
    const port = await world.serve(adapter, ALL, routes())
    const lines = async (body: string) => [...TEXT, `baggage: ${await boundLineage({ ...ORDER, body })}`]
    const socket = await world.connect(port)
    let answers = ''
    socket.on('data', (chunk) => {
      answers += chunk
    })
    const said = (what: string) => until(() => answers.includes(what), what)
    socket.write(chunked(await lines('in chunks'), ['in ', 'chunks']))
    await said('in chunks')
    socket.write(`${chunked(await lines(''), [])}`)
    await said('"body":""')
    const expecting = [...(await lines('patience')), 'expect: 100-continue', 'content-length: 8']
    socket.write(rawRequest(`POST ${ORDER.path}`, expecting))
    await said('100 Continue')
    socket.write('patience')
    await said('"patience"')
  })

  test('K-BODY compares the content as it was sent, coded, before anybody decodes it', async (world) => {
    const port = await world.serve(adapter, ALL, routes())
    const coded = gzipSync('order 7')
    const headers = async (body: string | Uint8Array) => [
      ...TEXT,
      'content-encoding: gzip',
      `baggage: ${await boundLineage({ ...ORDER, body })}`,
    ]
    const send = async (lines: readonly string[]): Promise<string> => {
      const socket = await world.connect(port)
      let answer = ''
      socket.on('data', (chunk) => {
        answer += chunk
      })
      const length = [`content-length: ${coded.length}`, 'connection: close']
      socket.write(rawRequest(`POST ${ORDER.path}`, [...lines, ...length]))
      socket.write(coded)
      await until(() => socket.closed || socket.readableEnded, 'the answer')
      return answer
    }
    assert.match(await send(await headers('order 7')), /ERR_KEST_BINDING/)
    assertNothingDone(world)
    assert.doesNotMatch(await send(await headers(coded)), /ERR_KEST/)
  })

  test('K-BODY runs nothing for a sender that leaves before its body has come', async (world) => {
    const port = await world.serve(adapter, ALL, routes())
    const socket = await world.connect(port)
    const baggage = await boundLineage(ORDER)
    const head = rawRequest(`POST ${ORDER.path}`, [...TEXT, `baggage: ${baggage}`, 'content-length: 7'])
    socket.write(`${head}ord`, () => socket.destroy())
    const left = () => world.logger.records.some(({ details }) => details['code'] === 'ERR_KEST_ABORTED')
    await until(left, 'the sender to be missed')
    assertNothingDone(world)
  })
}

function chunked(headers: readonly string[], chunks: readonly string[]): string {
  const body = chunks.map((chunk) => `${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`).join('')
  return `${rawRequest(`POST ${ORDER.path}`, [...headers, 'transfer-encoding: chunked'])}${body}0\r\n\r\n`
}
