import type { IncomingMessage, ServerResponse } from 'node:http'
import { createKest } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine } from '@kest/core/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { kestExpress, protect, wrapRouter } from '../src/index.js'
import { MAJORS } from './support/majors.js'
import { raw, serve } from './support/server.js'

/** What the default logger writes. */
function written(): () => Record<string, unknown>[] {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  onTestFinished(() => write.mockRestore())
  return () => write.mock.calls.map(([line]) => JSON.parse(String(line)))
}

function instance() {
  const identity = new MockIdentityProvider('orders')
  const kest = createKest({ identity, engine: new MockPolicyEngine(false) })
  onTestFinished(() => kest.close())
  return kest
}

describe.each(MAJORS)('the log of refusals on Express $major', ({ express }) => {
  it('names method, route, peer and the id of the request', async () => {
    const lines = written()
    const app = express()
    app.use(kestExpress({ kest: instance(), origin: 'user_input' }))
    app.get('/orders/:id', protect({ policy: 'orders/read' }), () => {})
    const router = wrapRouter(express.Router(), { policy: 'items/read' })
    router.get('/:id', () => {})
    app.use('/items', router)
    const { port } = await serve(app)
    await raw(port, ['GET /orders/7?secret=1 HTTP/1.1', 'x-request-id: a-1'])
    await raw(port, ['GET /items/7?secret=1 HTTP/1.1'])
    const facts = { message: 'operation denied', method: 'GET', peer: expect.stringContaining('127.0.0.1') }
    expect(lines()).toMatchObject([
      { ...facts, operation: 'GET /orders/:id', route: '/orders/:id', request_id: 'a-1' },
      { ...facts, route: '/:id' },
    ])
    expect(JSON.stringify(lines())).not.toContain('secret')
  })

  it('names the path where no route is known yet, and what other middleware calls the request', async () => {
    const lines = written()
    const app = express()
    app.use((req: IncomingMessage, _res: ServerResponse, next: () => void) => {
      Object.assign(req, { id: 'own-id' })
      next()
    })
    const token = { insecureDecode: true, required: true } as const
    app.use('/api', kestExpress({ kest: instance(), origin: 'user_input', token }))
    const { port } = await serve(app)
    await raw(port, ['GET /api/orders/7?secret=1 HTTP/1.1', 'x-request-id: a-1'])
    expect(lines().filter(({ code }) => code !== undefined)).toMatchObject([
      { code: 'ERR_KEST_TOKEN', method: 'GET', path: '/api/orders/7', request_id: 'own-id' },
    ])
    expect(JSON.stringify(lines())).not.toContain('secret')
  })

  it('keeps what a stranger sends on one short line', async () => {
    const lines = written()
    const app = express()
    const token = { insecureDecode: true, required: true } as const
    app.use(kestExpress({ kest: instance(), origin: 'user_input', token }))
    const { port } = await serve(app)
    const odd = `\x85${'\xff'.repeat(1_000)}`
    await raw(port, [`GET /${'a'.repeat(3_000)} HTTP/1.1`, `x-request-id: ${odd}`])
    const [line] = lines().filter(({ code }) => code === 'ERR_KEST_TOKEN')
    expect(JSON.stringify(line)).not.toContain('\x85')
    expect(JSON.stringify(line).length).toBeLessThan(1_500)
  })
})
