import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { testInbound } from '@kest/core/testing'
import Router from '@koa/router'
import Koa from 'koa'
import { describe, it } from 'vitest'
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
