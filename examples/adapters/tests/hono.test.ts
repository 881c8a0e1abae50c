import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import { testInbound } from '@kest/core/testing'
import { Hono } from 'hono'
import { describe, it } from 'vitest'
import { type KestEnv, kestHono, protect } from '../src/hono.js'

describe('Hono behaves as every adapter does', () => {
  testInbound(it, {
    serve: async (options, routes) => {
      const app = new Hono<KestEnv>()
      app.use(kestHono(options))
      app.onError((_error, c) => c.text('failed', 500))
      for (const { method, path, policy, handle } of routes)
        app.on(method, path, protect({ policy }), async (c) => {
          const body = () => c.req.text()
          const answer = await handle({ kest: c.var.kest, baggage: c.req.header()['baggage'], body })
          return c.json((answer ?? null) as object)
        })
      return createAdaptorServer(app) as Server
    },
  })
})
