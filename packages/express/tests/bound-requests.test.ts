import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { createKest, createKeySource, type HopOptions } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { kestExpress, protect } from '../src/index.js'
import { MAJORS } from './support/majors.js'

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
const receiving = () => kestExpress({ kest, binding: 'hop', audiences: [ORDERS], require: [...HOP.bind] })

let server: Server
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

async function listening(app: Parameters<typeof createServer>[1]): Promise<string> {
  server = createServer(app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function send(
  origin: string,
  path: string,
  body: string | Uint8Array,
  { bound = path, headers = {} }: { bound?: string; headers?: Record<string, string> } = {},
): Promise<unknown> {
  const { state } = await gateway.begin(
    { operation: 'op', policy: 'test', origin: 'system' },
    { state: null },
  )
  const said = { hop: HOP, method: 'POST', body, state }
  const { baggage } = await gateway.inject({} as { baggage: string }, ORDERS + bound, said)
  const type = { 'content-type': 'application/json', ...headers, baggage }
  const answer = await fetch(origin + path, { method: 'POST', headers: type, body: body as never })
  const read = (await answer.json()) as { code?: string }
  return read.code ?? read
}

describe.each(MAJORS)('a body that a token is bound to, in Express $major', ({ express }) => {
  it('K-BODY is parsed, inflated or piped by whatever stands behind', async () => {
    const app = express()
    app.use(receiving())
    app.post(
      '/json',
      express.json(),
      protect({ policy: 'test' }),
      (req, res) => void res.json({ read: req.body }),
    )
    app.post(
      '/raw',
      protect({ policy: 'test' }),
      async (req, res) => void res.json({ read: await text(req) }),
    )
    const origin = await listening(app)
    expect(await send(origin, '/json', '{"id":1}')).toEqual({ read: { id: 1 } })
    const coded = { headers: { 'content-encoding': 'gzip' } }
    expect(await send(origin, '/json', gzipSync('{"id":1}'), coded)).toEqual({ read: { id: 1 } })
    expect(await send(origin, '/raw', 'x'.repeat(200_000))).toEqual({ read: 'x'.repeat(200_000) })
  })

  it('K-BODY a parser that stands before is said to, in the log, and nothing is let in', async () => {
    const app = express()
    app.use(express.json())
    app.use(receiving())
    app.post('/json', protect({ policy: 'test' }), (_req, res) => void res.json({}))
    expect(await send(await listening(app), '/json', '{"id":1}')).toBe('ERR_KEST_CONFIG')
  })

  it('K-BODY binds what was sent, to routers that are mounted, and to methods that are overridden before', async () => {
    const app = express()
    app.use((req, _res, next) => {
      req.method = String(req.headers['x-http-method-override'] ?? req.method)
      next()
    })
    app.use(receiving())
    const router = express.Router()
    const handler = (_req: unknown, res: { json(body: object): unknown }) => void res.json({})
    router.post('/x', protect({ policy: 'test' }), handler as never)
    router.delete('/x', protect({ policy: 'test' }), handler as never)
    app.use('/api', router)
    const origin = await listening(app)
    expect(await send(origin, '/api/x?a=1', '1')).toEqual({})
    expect(await send(origin, '/api/x?a=1', '1', { bound: '/x?a=1' })).toBe('ERR_KEST_BINDING')
    const headers = { 'x-http-method-override': 'DELETE' }
    expect(await send(origin, '/api/x?a=1', '1', { headers })).toBe('ERR_KEST_BINDING')
  })
})
