import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { createKest } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger, testInbound } from '@kest/core/testing'
import Router from '@koa/router'
import Koa from 'koa'
import { describe, expect, it } from 'vitest'
import { kestKoa, protect } from '../src/koa.js'

describe('Koa behaves as every adapter does', () => {
  testInbound(it, {
    serve: async (options, routes) => {
      const app = new Koa()
      app.silent = true
      app.use(kestKoa(options))
      const router = new Router()
      for (const { method, path, policy, handle } of routes)
        router[method === 'GET' ? 'get' : 'post'](path, protect({ policy }), async (ctx) => {
          const body = () => text(ctx.req)
          const answer = await handle({ kest: ctx.kest, baggage: ctx.get('baggage') || undefined, body })
          ctx.body = JSON.stringify(answer ?? null)
        })
      app.use(router.routes())
      return createServer(app.callback())
    },
  })
})

it('protect() outside a route has no name, and lets nothing through', async () => {
  const identity = new MockIdentityProvider('service')
  const kest = createKest({ identity, engine: new MockPolicyEngine(), logger: new RecordingLogger() })
  const app = new Koa()
  app.use(kestKoa({ kest, origin: 'user_input' }))
  app.use(protect({ policy: 'any' }))
  app.use(() => expect.fail('reached'))
  const server = createServer(app.callback()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const answer = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/x`)
  expect([answer.status, await answer.json()]).toMatchObject([500, { code: 'ERR_KEST_CONFIG' }])
  server.closeAllConnections()
  server.close()
})
