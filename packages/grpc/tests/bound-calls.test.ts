import { createKest, type HopOptions } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { createKestInterceptor, kestGrpc } from '../src/index.js'
import { Echo, FORMS, failureOf, implementation, kestCode, metadataOf, send } from './support/echo.js'
import { METHODS, World } from './support/world.js'

let world: World
afterEach(() => world.close())

const ORDERS = 'http://orders.test'
const gateway = createKest({
  identity: new MockIdentityProvider('gateway'),
  engine: new MockPolicyEngine(),
  logger: new RecordingLogger(),
})

async function ordersOf(require?: readonly ('method' | 'path')[]): Promise<string> {
  world = new World()
  const hop = { binding: 'hop', audiences: [ORDERS], ...(require && { require }) } as const
  const interceptor = kestGrpc({ kest: world.kest, methods: METHODS, ...hop })
  return world.listen(
    [interceptor],
    Echo,
    implementation((message) => message),
  )
}

const within = async <T>(fn: () => T): Promise<Awaited<T>> =>
  (await gateway.begin({ operation: 'op', policy: 'test', origin: 'system' })).run(fn) as Awaited<T>

describe('a call whose token is bound to it', () => {
  it.each(FORMS)('K-BODY has the method POST and the path of its own method: %s', async (form) => {
    const orders = await ordersOf(['method', 'path'])
    const hop: HopOptions = { bind: ['method', 'path'] }
    const interceptor = createKestInterceptor({ kest: gateway, target: ORDERS, propagateTo: [ORDERS], hop })
    const client = world.client(orders, { interceptors: [interceptor] })
    expect((await within(() => send(client, form, 'order'))).flat()[0]).toBe('order')
  })

  it('K-BODY refuses the token of another method, of another HTTP method, and one that is bound to nothing', async () => {
    const client = world.client(await ordersOf(['path', 'method']))
    const inject = (path: string, hop: HopOptions | true, method = 'POST') =>
      within(async () => {
        const said = { hop, method, body: null }
        return (await gateway.inject({} as { baggage: string }, ORDERS + path, said)).baggage
      })
    const bind = ['method', 'path'] as const
    for (const baggage of [
      await inject('/kest.test.Echo/Bidi', { bind }),
      await inject('/kest.test.Echo/Unary', { bind }, 'GET'),
      await inject('/kest.test.Echo/Unary', { bind: ['path'] }),
      await inject('/kest.test.Echo/Unary', true),
      await inject('/kest.test.Echo/Unary', { bind: ['method', 'path', 'body'] }),
    ]) {
      const failure = await failureOf(send(client, 'unary', 'order', { metadata: metadataOf({ baggage }) }))
      expect(kestCode(failure)).toBe('ERR_KEST_BINDING')
    }
    const metadata = metadataOf({ baggage: await inject('/kest.test.Echo/Unary', { bind }) })
    expect(await send(client, 'unary', 'order', { metadata })).toEqual(['order'])
  })

  it('K-BODY cannot be bound to its messages, and says so at the start, on both sides', async () => {
    await ordersOf()
    const target = { kest: gateway, target: ORDERS, propagateTo: [ORDERS] }
    const hop: HopOptions = { bind: ['body'] }
    expect(() => createKestInterceptor({ ...target, hop })).toThrow(/no "body" \(K-BODY\)/)
    const server = { kest: world.kest, methods: METHODS, binding: 'hop', audiences: [ORDERS] } as const
    expect(() => kestGrpc({ ...server, require: ['body'] as never })).toThrow(/no "body" \(K-BODY\)/)
    expect(() => kestGrpc({ ...server, maxBodyBytes: 1 } as never)).toThrow(/no "body" \(K-BODY\)/)
  })
})
