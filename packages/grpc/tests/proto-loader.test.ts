import { fileURLToPath } from 'node:url'
import {
  credentials,
  type handleServerStreamingCall,
  type handleUnaryCall,
  loadPackageDefinition,
  type ServiceClientConstructor,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { getCurrentUser } from '@kest/core'
import { afterEach, expect, it } from 'vitest'
import { createKestInterceptor, kestGrpc } from '../src/index.js'
import { World } from './support/world.js'

interface Order {
  readonly id: string
  readonly user: string
}

let world: World
afterEach(() => world.close())

it('clients and services out of a .proto file', async () => {
  world = new World()
  const { kest } = world
  const file = fileURLToPath(new URL('support/orders.proto', import.meta.url))
  const { shop } = loadPackageDefinition(loadSync(file)) as unknown as {
    readonly shop: { readonly Orders: ServiceClientConstructor }
  }
  const methods = { '/shop.Orders/*': { policy: 'orders/read' } }
  const interceptor = kestGrpc({ kest, methods, services: [shop.Orders.service], lineage: 'optional' })
  const get: handleUnaryCall<{ id: string }, Order> = (call, callback) =>
    callback(null, { id: call.request.id, user: getCurrentUser() ?? 'nobody' })
  const list: handleServerStreamingCall<{ id: string }, Order> = (call) => {
    for (const id of ['1', '2']) call.write({ id, user: getCurrentUser() ?? 'nobody' })
    call.end()
  }
  const address = await world.listen([interceptor], shop.Orders.service, { get, list })
  const target = `http://${address}`
  const client = new shop.Orders(address, credentials.createInsecure(), {
    interceptors: [createKestInterceptor({ kest, target, propagateTo: [target] })],
  })
  world.onClose(() => client.close())
  const order = await new Promise((resolve, reject) => {
    client['get']!({ id: '7' }, (error: Error | null, answer: unknown) =>
      error ? reject(error) : resolve(answer),
    )
  })
  expect(order).toEqual({ id: '7', user: 'nobody' })
  const ids: string[] = []
  for await (const { id } of client['list']!({ id: '7' }) as AsyncIterable<{ id: string }>) ids.push(id)
  expect(ids).toEqual(['1', '2'])
  expect(world.engine.requests.map(({ context }) => context.object.id)).toEqual([
    '/shop.Orders/Get',
    '/shop.Orders/List',
  ])
})
