import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { testInbound } from '@kest/core/testing'
import { describe, it } from 'vitest'
import { kestExpress, wrapRouter } from '../src/index.js'
import { MAJORS } from './support/majors.js'

describe.each(MAJORS)('Express $major behaves as every adapter does', ({ express }) => {
  testInbound(it, {
    serve: async (options, routes) => {
      const app = express()
      app.use(kestExpress(options))
      for (const { method, path, policy, handle } of routes) {
        const router = wrapRouter(express.Router(), { policy })
        router[method === 'GET' ? 'get' : 'post'](path, async (req, res, next) => {
          try {
            const body = () => text(req)
            const answer = await handle({ kest: req.kest!, baggage: req.get('baggage'), body })
            res.json(answer ?? null)
          } catch (error) {
            next(error)
          }
        })
        app.use(router)
      }
      return createServer(app)
    },
  })
})
