import { once } from 'node:events'
import http2 from 'node:http2'
import { createKest, createKeySource } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import { describe, expect, it } from 'vitest'
import { kestFastify } from '../src/index.js'
import { createApp, lineage, World } from './support/world.js'

const NONCE = 'AAAAAAAAAAAAAAAAAAAAAA'

const asking = async (): Promise<{ readonly baggage: string }> => {
  const { baggage } = await lineage()
  return { baggage: `${baggage},kest.receipt=${NONCE}` }
}

function payloadOf(receipt: unknown) {
  return JSON.parse(Buffer.from(String(receipt).split('.')[1] ?? '', 'base64url').toString())
}

async function internal(options: object = {}, world = new World()) {
  const app = await world.app({ policy: 'orders', ...options })
  return { app, world }
}

async function receiptOf(app: FastifyInstance, url = '/orders', more: InjectOptions = {}): Promise<unknown> {
  const answer = await app.inject({ url, headers: await asking(), ...more })
  return answer.headers['kest-receipt']
}

const LEAK = { 'kest-receipt': 'of.somebody.else' }

describe('receipts', () => {
  it('K-RECEIPT the first entry that is made for a request is what it is answered with, and states the request', async () => {
    const { app, world } = await internal()
    app.get('/orders', async () => {
      await (await world.kest.begin({ operation: 'inner', policy: 'p' })).run(() => {})
      return 'done'
    })
    const receipt = await receiptOf(app)
    expect(payloadOf(receipt)).toMatchObject({ operation: 'GET /orders', labels: { 'kest.call': NONCE } })
    const [outer, inner] = world.spans()
    expect(outer?.attributes['kest.signature']).toBe(receipt)
    expect(payloadOf(inner?.attributes['kest.signature']).labels['kest.call']).toBeUndefined()
  })

  it('K-RECEIPT it comes with every answer to a request whose operation has begun, and with no other', async () => {
    const world = new World(({ policies }) => !policies.includes('no'))
    const { app } = await internal({}, world)
    app.setNotFoundHandler((_, reply) => reply.code(404).send('none'))
    app.get('/throws', async () => {
      throw new Error('own words')
    })
    app.get('/stream', (_, reply) => {
      reply.send(new Blob(['x'.repeat(100_000)]).stream())
    })
    app.get('/empty', (_, reply) => reply.code(204).send())
    app.get('/same', (_, reply) => reply.code(304).send())
    app.get('/away', (_, reply) => reply.redirect('/orders'))
    app.get('/by-hand', (_, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, 'fine', ['x-own', '1', 'Kest-Receipt', 'of.somebody.else']).end('done')
    })
    app.get('/hints', (_, reply) => {
      reply.raw.writeEarlyHints({ link: '</a>; rel=preload', ...LEAK })
      reply.send('done')
    })
    app.get('/denied', { config: { kest: { policy: 'no' } } }, async () => 'done')
    for (const [url, status] of [
      ['/throws', 500],
      ['/stream', 200],
      ['/empty', 204],
      ['/same', 304],
      ['/away', 302],
      ['/by-hand', 200],
    ] as const) {
      const answer = await app.inject({ url, headers: await asking() })
      expect([url, answer.statusCode]).toEqual([url, status])
      expect([url, payloadOf(answer.headers['kest-receipt']).operation]).toEqual([url, `GET ${url}`])
    }
    const head = await app.inject({ url: '/throws', method: 'HEAD', headers: await asking() })
    expect(payloadOf(head.headers['kest-receipt']).operation).toBe('HEAD /throws')
    for (const url of ['/denied', '/nowhere'])
      expect([url, await receiptOf(app, url)]).toEqual([url, undefined])
  })

  it('K-RECEIPT nobody gets one who does not ask for it, or whose lineage is not verified', async () => {
    const { app } = await internal()
    app.get('/orders', async () => 'done')
    expect((await app.inject({ url: '/orders', headers: await lineage() })).headers).not.toHaveProperty(
      'kest-receipt',
    )
    const only = await app.inject({ url: '/orders', headers: { baggage: `kest.receipt=${NONCE}` } })
    expect([only.statusCode, only.headers['kest-receipt']]).toEqual([403, undefined])
    const off = await internal({ mode: 'off' })
    off.app.get('/orders', async () => 'done')
    expect(await receiptOf(off.app)).toBeUndefined()
  })

  it('K-RECEIPT a request that is named otherwise than by 128 bits is malformed', async () => {
    const { app } = await internal()
    app.get('/orders', async () => 'done')
    const { baggage } = await lineage()
    for (const nonce of ['', 'short', `${NONCE}A`, 'AAAAAAAAAAAAAAAAAAAAAB', `${'A'.repeat(21)}%3D`]) {
      const answer = await app.inject({
        url: '/orders',
        headers: { baggage: `${baggage},kest.receipt=${nonce}` },
      })
      expect([nonce, answer.statusCode]).toEqual([nonce, 400])
    }
  })

  it('K-RECEIPT an edge never gives one, and removes the header from every answer', async () => {
    const world = new World()
    const app = await world.app({ origin: 'user_input', policy: 'orders', exclude: ['/left-alone'] })
    app.get('/orders', (_, reply) => reply.headers(LEAK).send('done'))
    app.get('/left-alone', (_, reply) => reply.headers(LEAK).send('done'))
    app.get('/by-hand', (_, reply) => {
      reply.hijack()
      reply.raw.setHeader('Kest-Receipt', 'of.somebody.else')
      reply.raw.writeHead(200, LEAK).end('done')
    })
    app.get('/trailers', (_, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, { trailer: 'kest-receipt' })
      reply.raw.write('done')
      reply.raw.addTrailers(LEAK)
      reply.raw.end()
    })
    app.setNotFoundHandler((_, reply) => reply.code(404).headers(LEAK).send('none'))
    for (const url of ['/orders', '/left-alone', '/by-hand', '/trailers', '/nowhere']) {
      const answer = await app.inject({ url, headers: await asking() })
      const seen = [url, answer.headers['kest-receipt'], answer.trailers['kest-receipt']]
      expect(seen).toEqual([url, undefined, undefined])
    }
    expect(
      world.spans().map(({ attributes }) => payloadOf(attributes['kest.signature']).labels['kest.call']),
    ).toEqual([undefined, undefined, undefined])
  })

  it('K-RECEIPT over HTTP/2 it is the same, also where a handler answers by the stream itself', async () => {
    const world = new World()
    for (const isEdge of [false, true]) {
      const app = Fastify({ http2: true, forceCloseConnections: true })
      const options = isEdge ? { origin: 'user_input' } : {}
      await app.register(kestFastify, { kest: world.kest, policy: 'orders', ...options } as never)
      app.get('/sent', async () => 'done')
      app.get('/stream', (_, reply) => {
        reply.hijack()
        reply.raw.stream.respond({ ':status': 200, ...LEAK })
        reply.raw.stream.end('done')
      })
      const client = http2.connect(await app.listen({ host: '127.0.0.1', port: 0 }))
      for (const path of ['/sent', '/stream']) {
        const request = client.request({ ':path': path, ...(await asking()) })
        const [head] = await once(request, 'response')
        request.resume()
        await once(request, 'end')
        const receipt = head['kest-receipt']
        expect([path, isEdge, receipt && payloadOf(receipt).operation]).toEqual([
          path,
          isEdge,
          isEdge ? undefined : `GET ${path}`,
        ])
      }
      client.close()
      await app.close()
    }
  })

  it('K-RECEIPT what a proxy copies from whom it called is not passed on', async () => {
    const { app } = await internal()
    app.get('/orders', (_, reply) => reply.headers(LEAK).send('done'))
    expect(payloadOf(await receiptOf(app)).labels['kest.call']).toBe(NONCE)
    expect((await app.inject({ url: '/orders', headers: await lineage() })).headers).not.toHaveProperty(
      'kest-receipt',
    )
  })

  it('K-RECEIPT an entry above 4 KiB is not sent, and is made all the same', async () => {
    const { app, world } = await internal()
    app.get('/orders', { config: { kest: { metadata: 'x'.repeat(4096) } } }, async () => 'done')
    expect(await receiptOf(app)).toBeUndefined()
    expect(payloadOf(world.spans()[0]?.attributes['kest.signature']).labels['kest.call']).toBe(NONCE)
  })

  it('K-RECEIPT callers of other trust domains get one only where their domain is listed', async () => {
    const identity = new MockIdentityProvider('spiffe://own.test/orders')
    const caller = new MockIdentityProvider('spiffe://partner.test/gateway')
    const trust = createKeySource({ [caller.getWorkloadId()]: [caller.getPublicJwk()] })
    const parts = { engine: new MockPolicyEngine(), logger: new RecordingLogger() }
    const partner = createKest({ ...parts, identity: caller })
    const operation = await partner.begin({ operation: 'root', policy: 'p', origin: 'system' })
    const headers: { baggage?: string } = {}
    await operation.run(() => partner.inject(headers, 'http://orders.test'))
    for (const [trustDomains, status] of [
      [{}, 403],
      [{ 'partner.test': {} }, 200],
    ] as const) {
      const app = createApp()
      await app.register(kestFastify, {
        kest: createKest({ ...parts, identity, trust }),
        policy: 'p',
        trustDomains,
      })
      app.get('/orders', async () => 'done')
      const answer = await app.inject({
        url: '/orders',
        headers: { baggage: `${headers.baggage},kest.receipt=${NONCE}` },
      })
      expect([answer.statusCode, typeof answer.headers['kest-receipt']]).toEqual([
        status,
        status === 200 ? 'string' : 'undefined',
      ])
    }
  })
})

describe('how requests end', () => {
  it('K-OUTCOME a request has succeeded, failed, or was left', async () => {
    const world = new World(true, { outcomes: true })
    const { app } = await internal({}, world)
    app.get('/fine', async () => 'done')
    app.get('/refused', (_, reply) => reply.code(409).send('no'))
    app.get('/failed', (_, reply) => reply.code(503).send('no'))
    app.get('/throws', async () => {
      throw new Error('own words')
    })
    let reached = (): void => {}
    const isReached = new Promise<void>((resolve) => {
      reached = resolve
    })
    app.get('/left', () => {
      reached()
    })
    for (const url of ['/fine', '/refused', '/failed', '/throws'])
      await app.inject({ url, headers: await lineage() })
    const address = await app.listen({ host: '127.0.0.1', port: 0 })
    const controller = new AbortController()
    const left = fetch(`${address}/left`, { headers: await lineage(), signal: controller.signal })
    await isReached
    controller.abort()
    await expect(left).rejects.toThrow()
    const ends = () =>
      world.spans().flatMap(({ attributes }) => {
        const { operation, labels } = payloadOf(attributes['kest.signature'])
        return labels['kest.outcome'] === undefined ? [] : [[operation, labels['kest.outcome']]]
      })
    await expect.poll(ends).toHaveLength(5)
    expect(ends()).toEqual([
      ['GET /fine#end', 'succeeded'],
      ['GET /refused#end', 'succeeded'],
      ['GET /failed#end', 'failed'],
      ['GET /throws#end', 'failed'],
      ['GET /left#end', 'aborted'],
    ])
  })
})
