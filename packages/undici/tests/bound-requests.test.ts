import { Readable } from 'node:stream'
import { Agent, type Dispatcher, FormData, interceptors, fetch as packaged } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { redirecting, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { boundRefusal, kest, within } from '../../../tests/outbound/services.js'
import { createKestFetch, withKest } from '../src/index.js'

let hop2: TestServer
let flaky: TestServer
let failing = 0
beforeAll(async () => {
  hop2 = await startServer(redirecting(307))
  flaky = await startServer(({ body }, response) => {
    response.statusCode = failing-- > 0 ? 503 : 200
    response.end(body)
  })
})
afterEach(() => {
  for (const { received } of [hop2, flaky]) received.length = 0
})
afterAll(() => Promise.all([hop2.close(), flaky.close()]))

const rule = (maxBodyBytes = 100_000) =>
  ({
    kest,
    propagateTo: [hop2.origin, flaky.origin],
    hop: { bind: ['method', 'path', 'body'], maxBodyBytes },
    redirects: 'follow',
  }) as const

const refusals = ({ origin, received }: TestServer) =>
  Promise.all(received.map((request) => boundRefusal(request, origin)))

type Sent = Omit<Dispatcher.RequestOptions, 'origin' | 'path' | 'method'>

async function post(options: Sent, dispatcher: Dispatcher = withKest(new Agent(), rule())): Promise<string> {
  return within('op', async () => {
    const answer = await dispatcher.request({
      origin: hop2.origin,
      path: '/x',
      method: 'POST',
      ...options,
    } as never)
    return answer.body.text()
  })
}

async function* gives(...chunks: unknown[]): AsyncGenerator {
  yield* chunks
}

describe('a dispatch whose token is bound to it', () => {
  const bytes = new TextEncoder().encode('order')
  it.each<[string, () => unknown]>([
    ['text', () => 'order'],
    ['a Buffer', () => Buffer.from('order')],
    ['a view of a larger buffer', () => Buffer.from('an order').subarray(3)],
    ['an ArrayBuffer', () => Uint8Array.from(bytes).buffer],
    ['a Blob', () => new Blob(['or', 'der'])],
    ['a stream of Node', () => Readable.from([Buffer.from('or'), Buffer.from('der')])],
    ['a stream of text', () => Readable.from(['or', 'der'])],
    ['an asynchronous iterable', () => gives('or', new Uint8Array(Buffer.from('der')))],
    ['an iterable', () => new Set(['or', 'der'])],
  ])('K-BODY has the digest of its body, whatever that is made of: %s', async (_, body) => {
    expect(await post({ body: body() as never })).toBe('order')
    expect(await refusals(hop2)).toEqual([null])
  })

  it('K-BODY keeps what a Blob says of itself', async () => {
    await post({ body: new Blob(['{}'], { type: 'application/json' }) as never })
    expect(hop2.received[0]?.headers['content-type']).toBe('application/json')
  })

  it('K-BODY binds the query that undici writes into the path', async () => {
    await post({ query: { a: '1 2', b: ['x', 'y'], c: 'ö&=' }, body: 'order' })
    await post({ query: {}, body: 'order' })
    expect(hop2.received.map(({ url }) => url)).toEqual(['/x?a=1%202&b=x&b=y&c=%C3%B6%26%3D', '/x'])
    expect(await refusals(hop2)).toEqual([null, null])
  })

  it('K-BODY leaves what undici refuses to undici', async () => {
    const sent = within('op', () =>
      withKest(new Agent(), rule()).request({
        origin: hop2.origin,
        path: '/x?y',
        method: 'POST',
        query: { a: 1 },
        body: Readable.from(['x']),
      }),
    )
    await expect(sent).rejects.toThrow(/query/i)
  })

  it.each<[string, () => unknown, RegExp]>([
    ['a form', () => new FormData(), /made when it is written/],
    ['an object', () => ({ a: 1 }), /made when it is written/],
    ['numbers', () => gives(7), /neither text nor bytes/],
    [
      'a stream that is too long',
      () => Readable.from([Buffer.alloc(60_000), Buffer.alloc(60_000)]),
      /more than 100000 bytes/,
    ],
    ['a Blob that is too long', () => new Blob([Buffer.alloc(200_000)]), /more than 100000 bytes/],
    ['text that is too long', () => 'ö'.repeat(60_000), /more than 100000 bytes/],
  ])('K-BODY sends nothing where the body cannot be bound: %s', async (_, body, message) => {
    await expect(post({ body: body() as never })).rejects.toThrow(message)
    expect(hop2.received).toEqual([])
  })

  it('K-BODY ends a stream that is too long, and hands on the error of one that fails', async () => {
    const long = Readable.from(gives(Buffer.alloc(60_000), Buffer.alloc(60_000), Buffer.alloc(1)))
    await expect(post({ body: long })).rejects.toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
    if (!long.destroyed) await new Promise((resolve) => long.once('close', resolve))
    const failing = new Readable({ read: () => void failing.destroy(new Error('disk')) })
    await expect(post({ body: failing })).rejects.toThrow('disk')
    expect(hop2.received).toEqual([])
  })

  it('K-BODY makes another token for another attempt, and for what a redirect leads to', async () => {
    failing = 2
    const retrying = withKest(new Agent(), rule()).compose(
      interceptors.retry({ methods: ['POST'], statusCodes: [503], minTimeout: 1, maxRetries: 5 }),
    )
    await within('op', async () => {
      const { body } = await retrying.request({
        origin: flaky.origin,
        path: '/x',
        method: 'POST',
        body: 'order',
      })
      expect(await body.text()).toBe('order')
      const follow = withKest(new Agent(), rule()).compose(interceptors.redirect({ maxRedirections: 1 }))
      const path = `/to?${encodeURIComponent(`${hop2.origin}/end`)}`
      await (await follow.request({ origin: hop2.origin, path, method: 'POST', body: 'order' })).body.dump()
    })
    expect(await refusals(flaky)).toEqual([null, null, null])
    expect(await refusals(hop2)).toEqual([null, null])
    expect(new Set([...flaky.received, ...hop2.received].map(({ headers }) => headers['baggage'])).size).toBe(
      5,
    )
  })

  it.each<[string, typeof globalThis.fetch]>([
    ['Node’s', globalThis.fetch],
    ['undici’s', packaged as never],
  ])('K-BODY is one of a fetch, whatever its body: %s', async (_, original) => {
    const fetch = createKestFetch({ ...rule(), fetch: original })
    const stream = () => Readable.toWeb(Readable.from([Buffer.from('or'), Buffer.from('der')])) as never
    await within('op', async () => {
      for (const body of ['order', new URLSearchParams({ a: '1' }), new Blob(['order']), new Uint8Array(5)])
        await (await fetch(`${hop2.origin}/x?a=1`, { method: 'POST', body: body as never })).text()
      await (
        await fetch(`${hop2.origin}/x`, { method: 'POST', body: stream(), duplex: 'half' } as never)
      ).text()
      await (await fetch(`${hop2.origin}/x`)).text()
    })
    expect(await refusals(hop2)).toEqual([null, null, null, null, null, null])
  })
})
