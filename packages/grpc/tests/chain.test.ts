import { Metadata, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js'
import { createKest } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { createKestInterceptor, kestGrpc } from '../src/index.js'
import { Echo, FORMS, failureOf, implementation, kestCode, metadataOf, send } from './support/echo.js'
import { METHODS, World } from './support/world.js'

let world: World
afterEach(() => world.close())

const gateway = createKest({
  identity: new MockIdentityProvider('gateway'),
  engine: new MockPolicyEngine(),
  logger: new RecordingLogger(),
})

/** `orders`, which takes passports from their senders alone, behind a gateway that calls it in each form. */
async function chain() {
  world = new World()
  const { kest } = world
  /** What came, before anything of it was taken out. */
  const came: string[] = []
  const witness: ServerInterceptor = (_, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata(metadata, forward) {
            came.push(String(metadata.get('baggage')))
            forward(metadata)
          },
        }),
    })
  const audience = 'http://orders.test'
  const own = kestGrpc({ kest, methods: METHODS, binding: 'hop', audiences: [audience] })
  const orders = await world.listen(
    [witness, own],
    Echo,
    implementation((message, call) => {
      const seen = world.engine.requests.at(-1)?.context
      return { message, baggage: call.metadata.get('baggage'), path: seen?.object.id }
    }),
  )
  const client = world.client(orders, {
    interceptors: [
      createKestInterceptor({ kest: gateway, target: audience, propagateTo: [audience], hop: true }),
    ],
  })
  const edge = kestGrpc({ kest: gateway, methods: METHODS, origin: 'user_input' })
  const front = await world.listen(
    [edge],
    Echo,
    implementation(async (message) => (await send(client, 'bidi', message))[0]),
  )
  return { client, orders, front: world.client(front), came }
}

describe('a gateway that calls on', () => {
  it.each(FORMS)(
    'K-LINEAGE K-HOP in the state of its own call, and its callee takes it: %s',
    async (form) => {
      const { front, came } = await chain()
      const [answer] = (await send(front, form, 'm')).flat()
      expect(answer).toEqual({ message: 'm', baggage: [], path: '/kest.test.Echo/Bidi' })
      expect(came[0]).toMatch(/kest\.passport=.*kest\.hop=/)
      expect(world.engine.requests.at(-1)?.context.subject).toMatchObject({ taints: [] })
    },
  )

  it('K-HOP what it sent is nothing in other hands', async () => {
    const { front, orders, came } = await chain()
    await send(front, 'unary', 'm')
    const again = send(world.client(orders), 'unary', 'm', {
      metadata: metadataOf({ baggage: came[0] as string }),
    })
    const failure = await failureOf(again)
    expect([failure.code, kestCode(failure)]).toEqual([status.PERMISSION_DENIED, 'ERR_KEST_BINDING'])
  })

  it('carries nothing where it calls in nobody’s state', async () => {
    const { client, came } = await chain()
    const failure = await failureOf(send(client, 'unary', 'm', { metadata: new Metadata() }))
    expect([kestCode(failure), came]).toEqual(['ERR_KEST_LINEAGE_MISSING', ['']])
  })
})
