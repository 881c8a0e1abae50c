import { createServer } from 'node:http'
import http2 from 'node:http2'
import { text } from 'node:stream/consumers'
import { createKest, createKeySource, type HopOptions } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { kestFastify } from '../src/index.js'

const ORDERS = 'http://orders.test'
const HOP: HopOptions = { bind: ['method', 'path', 'body'] }
const gatewayIdentity = new MockIdentityProvider('gateway')
const shared = { engine: new MockPolicyEngine(), logger: new RecordingLogger() }
const gateway = createKest({ ...shared, identity: gatewayIdentity })
const kest = createKest({
  ...shared,
  identity: new MockIdentityProvider('orders'),
  trust: createKeySource({ [gatewayIdentity.getWorkloadId()]: [gatewayIdentity.getPublicJwk()] }),
})

let app: FastifyInstance
afterEach(() => app.close())

async function serving(
  options: object = {},
  before: (app: FastifyInstance) => unknown = () => {},
): Promise<void> {
  app = Fastify(options) as unknown as FastifyInstance
  await before(app)
  await app.register(kestFastify, { kest, binding: 'hop', audiences: [ORDERS], require: [...HOP.bind] })
  const config = { kest: { policy: 'test' } }
  app.post('/x', { config }, async (request) => ({ read: request.body }))
  app.post('/small', { config, bodyLimit: 10 }, async (request) => ({ read: request.body }))
}

async function baggageOf(body: string | null, path = '/x', method = 'POST'): Promise<string> {
  const { state } = await gateway.begin(
    { operation: 'op', policy: 'test', origin: 'system' },
    { state: null },
  )
  const said = { hop: HOP, method, body, state }
  return (await gateway.inject({} as { baggage: string }, ORDERS + path, said)).baggage
}

async function inject(body: string, { bound = body, url = '/x', type = 'application/json' } = {}) {
  const headers = { baggage: await baggageOf(bound, url), 'content-type': type }
  const answer = await app.inject({ method: 'POST', url, headers, payload: body })
  return { status: answer.statusCode, ...answer.json() }
}

describe('a body that a token is bound to, in Fastify', () => {
  it('K-BODY is parsed by Fastify afterwards, and by a parser of one’s own', async () => {
    await serving({}, (app) =>
      app.addContentTypeParser('text/csv', (_request, payload, done) => {
        text(payload).then((read) => done(null, read.split(',')), done)
      }),
    )
    expect(await inject('{"id":1}')).toMatchObject({ status: 200, read: { id: 1 } })
    expect(await inject('a,b', { type: 'text/csv' })).toMatchObject({ status: 200, read: ['a', 'b'] })
    expect(await inject('{"id":1}', { bound: '{"id":2}' })).toMatchObject({
      status: 403,
      code: 'ERR_KEST_BINDING',
    })
    expect(await inject('{"id":', { bound: '{"id":' })).toMatchObject({ status: 400 })
  })

  it('K-BODY is what was sent, whatever a preParsing hook makes of it', async () => {
    const seen: string[] = []
    await serving({}, (app) =>
      app.addHook('preParsing', async (_request, _reply, payload) => {
        seen.push(await text(payload))
        return (await import('node:stream')).Readable.from([Buffer.from('{"id":7}')]) as never
      }),
    )
    const headers = {
      baggage: await baggageOf('{"id":1}'),
      'content-type': 'application/json',
      'transfer-encoding': 'chunked',
    }
    const answer = await app.inject({ method: 'POST', url: '/x', headers, payload: '{"id":1}' })
    expect([seen, answer.json()]).toEqual([['{"id":1}'], { read: { id: 7 } }])
  })

  it('K-BODY is kept up to the bodyLimit of its route', async () => {
    await serving({ bodyLimit: 50 })
    const long = JSON.stringify('x'.repeat(60))
    expect(await inject('"12345"', { url: '/small' })).toMatchObject({ status: 200, read: '12345' })
    expect(await inject('"123456789"', { url: '/small' })).toMatchObject({
      status: 403,
      code: 'ERR_KEST_BINDING',
    })
    expect(await inject(long)).toMatchObject({ status: 403, code: 'ERR_KEST_BINDING' })
  })

  it('K-BODY binds the path that was sent, and not what it is rewritten to', async () => {
    await serving({ rewriteUrl: () => '/x' })
    const send = async (bound: string) => {
      const headers = { baggage: await baggageOf('1', bound), 'content-type': 'application/json' }
      return (await app.inject({ method: 'POST', url: '/other?a=1', headers, payload: '1' })).statusCode
    }
    expect([await send('/other?a=1'), await send('/x')]).toEqual([200, 403])
  })

  it('K-BODY is read over HTTP/2', async () => {
    await serving({ http2: true })
    const session = http2.connect(await app.listen({ host: '127.0.0.1', port: 0 }))
    const send = async (body: string, bound = body) => {
      const headers = {
        ':method': 'POST',
        ':path': '/x',
        baggage: await baggageOf(bound),
        'content-type': 'application/json',
      }
      const stream = session.request(headers)
      stream.end(body)
      return text(stream)
    }
    expect(await send('{"id":1}')).toBe('{"read":{"id":1}}')
    expect(await send('{"id":1}', '{"id":2}')).toContain('ERR_KEST_BINDING')
    session.destroy()
  })

  it('K-BODY is not read before by whoever has the server', async () => {
    await serving({
      serverFactory: (handler: never) =>
        createServer((request, response) => {
          request.resume()
          Reflect.apply(handler, undefined, [request, response])
        }),
    })
    const origin = await app.listen({ host: '127.0.0.1', port: 0 })
    const headers = { baggage: await baggageOf('1'), 'content-type': 'application/json' }
    const answer = await fetch(`${origin}/x`, { method: 'POST', headers, body: '1' })
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
      500,
      'ERR_KEST_CONFIG',
    ])
  })
})
