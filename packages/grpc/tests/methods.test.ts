import { type handleUnaryCall, type ServiceDefinition, status } from '@grpc/grpc-js'
import { KestConfigError } from '@kest/core'
import { afterEach, describe, expect, it } from 'vitest'
import { type KestGrpcOptions, kestGrpc } from '../src/index.js'
import {
  definition,
  Echo,
  type EchoClient,
  failureOf,
  implementation,
  kestCode,
  metadataOf,
  send,
} from './support/echo.js'
import { lineage, METHODS, World } from './support/world.js'

const Health = { check: definition('/grpc.health.v1.Health/Check') } satisfies ServiceDefinition

let world: World
afterEach(() => world.close())

/** A server with the four methods and a health check, which answers what is left of the baggage. */
async function serve(
  options: Partial<KestGrpcOptions>,
  decisions: ConstructorParameters<typeof World>[0] = true,
) {
  world = new World(decisions)
  const kest = kestGrpc({ kest: world.kest, methods: METHODS, ...options })
  const checked: handleUnaryCall<unknown, unknown> = ({ metadata }, callback) =>
    callback(null, metadata.get('baggage'))
  const methods = { ...implementation((message) => message), check: checked }
  const address = await world.listen([kest], { ...Echo, ...Health }, methods)
  return world.client(address)
}

function check(client: EchoClient, baggage: string): Promise<unknown> {
  const { path, requestSerialize, responseDeserialize } = Health.check
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      'm',
      metadataOf({ baggage }),
      (error, answer) => (error ? reject(error) : resolve(answer)),
    )
  })
}

describe('a method', () => {
  it('without a policy is refused at the call, where nobody has said what is served, and the operator is told', async () => {
    const methods = { '/kest.test.Echo/Unary': { policy: 'test' } }
    const client = await serve({ methods })
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
    const failure = await failureOf(
      send(client, 'serverStream', 'm', { metadata: metadataOf({ baggage: await lineage() }) }),
    )
    expect([failure.code, kestCode(failure)]).toEqual([status.INTERNAL, 'ERR_KEST_CONFIG'])
    expect((await warned).message).toContain('/kest.test.Echo/ServerStream has no policy')
    expect(world.signed).toBe(0)
  })

  it('without a policy is refused at the start, where the services are named', async () => {
    const client = await serve({ services: [Echo], open: [] })
    expect(await send(client, 'unary', 'm', { metadata: metadataOf({ baggage: await lineage() }) })).toEqual([
      'm',
    ])
    const missing = { methods: { '/kest.test.Echo/Unary': { policy: 'test' } }, services: [Echo] }
    expect(() => kestGrpc({ kest: world.kest, ...missing })).toThrow(
      /\/kest\.test\.Echo\/ClientStream has no policy/,
    )
    expect(() => kestGrpc({ kest: world.kest, methods: () => undefined, services: [Echo] })).toThrow(
      /has no policy/,
    )
  })

  it('that none of the services has is refused at the start', () => {
    world = new World()
    const { kest } = world
    const misspelled = { ...METHODS, '/kest.test.Echo/Unery': { policy: 'test' } }
    expect(() => kestGrpc({ kest, methods: misspelled, services: [Echo] })).toThrow(/Unery is in none/)
    expect(() =>
      kestGrpc({ kest, methods: METHODS, open: ['/grpc.health.v1.Health/*'], services: [Echo] }),
    ).toThrow(/Health\/\* is in none/)
    kestGrpc({ kest, methods: METHODS, open: ['/grpc.health.v1.Health/*'], services: [Echo, Health] })
  })

  it('has the policy of its own name before that of its service', async () => {
    const methods = { '/kest.test.Echo/*': { policy: 'all' }, '/kest.test.Echo/Unary': { policy: 'one' } }
    const client = await serve({ methods, origin: 'user_input' })
    await send(client, 'unary', 'm')
    await send(client, 'serverStream', 'm')
    expect(world.engine.requests.map(({ policies }) => policies)).toEqual([['one'], ['all']])
  })

  it('may be asked of a function, once, which refuses it by answering nothing, and by failing', async () => {
    const asked: string[] = []
    const methods = (method: string) => {
      asked.push(method)
      if (method.endsWith('/Bidi')) throw new Error('secret')
      return method.endsWith('/Unary') ? { policy: 'test' } : undefined
    }
    const client = await serve({ methods, origin: 'user_input' })
    await send(client, 'unary', 'm')
    await send(client, 'unary', 'm')
    expect(asked).toEqual(['/kest.test.Echo/Unary'])
    for (const form of ['serverStream', 'bidi'] as const) {
      const failure = await failureOf(send(client, form, 'm'))
      expect([failure.code, kestCode(failure)]).toEqual([status.INTERNAL, 'ERR_KEST_CONFIG'])
      expect(failure.message).not.toMatch(/secret|policy/)
    }
    expect(world.signed).toBe(2)
  })

  it('that nobody serves is answered by grpc-js, which asks no interceptor: UNIMPLEMENTED, and nothing runs', async () => {
    const client = await serve({ origin: 'user_input' })
    const { requestSerialize, responseDeserialize } = Echo.unary
    const failure = await failureOf(
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          '/kest.test.Echo/Nothing',
          requestSerialize,
          responseDeserialize,
          'm',
          (error, answer) => (error ? reject(error) : resolve(answer)),
        )
      }),
    )
    expect([failure.code, kestCode(failure)]).toEqual([status.UNIMPLEMENTED, ''])
    expect([world.signed, world.engine.requests, world.logger.records]).toEqual([0, [], []])
  })
})

describe('what is open', () => {
  it('is called by anybody, without an entry; lineage is taken out of what it is given', async () => {
    const client = await serve({ open: ['/grpc.health.v1.Health/*'], services: [Echo, Health] })
    expect(await check(client, `a=1,${await lineage()},Kest.user=eve`)).toEqual(['a=1'])
    expect(await check(client, 'a=1')).toEqual(['a=1'])
    expect([world.signed, world.engine.requests]).toEqual([0, []])
  })

  it('is nothing by itself: health checks and reflection are refused as any other', async () => {
    const failure = await failureOf(check(await serve({}), await lineage()))
    expect([failure.code, kestCode(failure)]).toEqual([status.INTERNAL, 'ERR_KEST_CONFIG'])
  })

  it('ends where a method has a policy by its own name', async () => {
    const client = await serve({
      methods: { '/kest.test.Echo/Unary': { policy: 'test' } },
      open: ['/kest.test.Echo/*'],
    })
    await send(client, 'serverStream', 'm').catch(() => {})
    expect(kestCode(await failureOf(send(client, 'unary', 'm')))).toBe('ERR_KEST_LINEAGE_MISSING')
  })
})

describe('options that are wrong', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['no methods', { methods: undefined }, /methods: expected/],
    ['a list of methods', { methods: [] }, /methods: expected/],
    ['a method without its service', { methods: { Unary: { policy: 'test' } } }, /expected "\/package/],
    ['a pattern that is none', { methods: { '/kest.*/Unary': { policy: 'test' } } }, /expected "\/package/],
    ['a policy instead of options', { methods: { '/a.B/C': 'test' } }, /\["\/a\.B\/C"\]: expected/],
    ['no policy', { methods: { '/a.B/C': {} } }, /polic/],
    ['an unknown option of a method', { methods: { '/a.B/C': { policy: 'x', polcy: 1 } } }, /"polcy"/],
    ['an operation', { methods: { '/a.B/C': { policy: 'x', operation: 'y' } } }, /operation/],
    ['a promise of switchIdentity', { methods: { '/a.B/C': { policy: 'x', switchIdentity: 1 } } }, /boolean/],
    ['an open service by its name alone', { open: ['grpc.health.v1.Health'] }, /open: expected/],
    ['open as one text', { open: '/grpc.health.v1.Health/*' }, /open: expected a list/],
    ['what is open and has a policy', { open: ['/kest.test.Echo/*'] }, /is open as well/],
    ['services that are none', { services: {} }, /services: expected a list/],
    ['onError', { onError: 'next' }, /"onError"/],
    ['an option of no one', { policies: {} }, /"policies"/],
  ])('%s', (_, options, message) => {
    world = new World()
    const all = { kest: world.kest, methods: METHODS, ...options } as unknown as KestGrpcOptions
    expect(() => kestGrpc(all)).toThrow(KestConfigError)
    expect(() => kestGrpc(all)).toThrow(message)
  })
})
