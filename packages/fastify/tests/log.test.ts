import { createKest } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine } from '@kest/core/testing'
import Fastify, { type FastifyServerOptions } from 'fastify'
import { expect, it, onTestFinished, vi } from 'vitest'
import { kestFastify } from '../src/index.js'
import { trust } from './support/world.js'

/** What the default logger writes. */
function written(): () => Record<string, unknown>[] {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  onTestFinished(() => write.mockRestore())
  return () => write.mock.calls.map(([line]) => JSON.parse(String(line)))
}

async function service(options: FastifyServerOptions = {}, origin?: string) {
  const identity = new MockIdentityProvider('orders')
  const kest = createKest({ identity, engine: new MockPolicyEngine(false), trust })
  const app = Fastify(options)
  onTestFinished(async () => {
    await app.close()
    await kest.close()
  })
  await app.register(kestFastify, { kest, origin })
  app.get('/orders/:id', { config: { kest: { policy: 'orders/read' } } }, async () => 'never')
  return app
}

it('names method, route, peer and the id of the request that was refused, also by a policy', async () => {
  const lines = written()
  const app = await service({ genReqId: () => 'r-7' }, 'user_input')
  await app.inject({ url: '/orders/7?secret=1', headers: { 'x-request-id': 'not asked for' } })
  const internal = await service({ requestIdHeader: 'x-request-id' })
  await internal.inject({ url: '/orders/7', headers: { 'x-request-id': 'a-1' } })
  await internal.inject('/nowhere/7?secret=1')
  const facts = { method: 'GET', peer: '127.0.0.1' }
  expect(lines().filter(({ code }) => code !== undefined)).toMatchObject([
    { ...facts, message: 'operation denied', route: '/orders/:id', request_id: 'r-7' },
    { ...facts, message: 'inbound request refused', route: '/orders/:id', request_id: 'a-1' },
    { ...facts, message: 'inbound request refused', path: '/nowhere/7' },
  ])
  expect(JSON.stringify(lines())).not.toContain('secret')
})

it('writes some lines for a flood of strangers, each short, whatever they send', async () => {
  const lines = written()
  // The period that lines are counted by does not end, however long the flood takes.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const app = await service({ requestIdHeader: 'x-request-id', trustProxy: true })
  for (let i = 0; i < 500; i++) {
    const odd = `\u0085${'\u00ff'.repeat(1_000)}${i}`
    const headers = { 'x-request-id': odd, 'x-forwarded-for': odd, baggage: `Kest.${odd}=1` }
    const { statusCode } = await app.inject({ url: `/${odd}`, headers })
    expect(statusCode).toBe(400)
  }
  const refused = lines().filter(({ code }) => code === 'ERR_KEST_BAGGAGE')
  expect(refused).toHaveLength(10)
  for (const line of refused) {
    const text = JSON.stringify(line)
    expect(text.length).toBeLessThan(2_500)
    expect(text).not.toContain('\u0085')
  }
})
