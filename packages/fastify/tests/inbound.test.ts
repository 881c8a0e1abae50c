import { text } from 'node:stream/consumers'
import { testInbound } from '@kest/core/testing'
import type { FastifyRequest } from 'fastify'
import { describe, it } from 'vitest'
import { kestFastify } from '../src/index.js'
import { createApp } from './support/world.js'

describe('Fastify behaves as every adapter does', () => {
  testInbound(it, {
    serve: async (options, routes) => {
      const app = createApp()
      await app.register(kestFastify, options)
      app.removeAllContentTypeParsers()
      app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
      for (const { method, path, policy, handle } of routes) {
        const handler = async (request: FastifyRequest) => {
          const body = () => text(request.body as NodeJS.ReadableStream)
          const answer = await handle({
            kest: request.kest!,
            baggage: request.headers['baggage'] as string,
            body,
          })
          return JSON.stringify(answer ?? null)
        }
        app.route({ method, url: path, config: { kest: { policy } }, handler })
      }
      await app.ready()
      return app.server
    },
  })
})
