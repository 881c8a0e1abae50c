import type { Server } from 'node:http'
import { testInbound } from '@kest/core/testing'
import { Controller, Get, HttpCode, Post, Req } from '@nestjs/common'
import { describe, it } from 'vitest'
import { Protect, type WithKest } from '../src/index.js'
import { appModule, createApp, nestVersion, PLATFORMS } from './support/apps.js'

describe.each(PLATFORMS)(`NestJS ${nestVersion()} on $platform behaves as every adapter does`, (platform) => {
  testInbound(it, {
    serve: async (options, routes) => {
      const controllers = routes.map(({ method, path, policy, handle }) => {
        class SuiteController {
          async handle(request: WithKest & { headers: Record<string, string>; body?: unknown }) {
            const body = async () => String(request.body ?? '')
            const answer = await handle({ kest: request.kest, baggage: request.headers['baggage'], body })
            return JSON.stringify(answer ?? null)
          }
        }
        const descriptor = Object.getOwnPropertyDescriptor(SuiteController.prototype, 'handle')!
        Req()(SuiteController.prototype, 'handle', 0)
        const protectedOne = Protect({ policy })(SuiteController.prototype, 'handle', descriptor)!
        ;(method === 'GET' ? Get(path) : Post(path))(SuiteController.prototype, 'handle', protectedOne)
        HttpCode(200)(SuiteController.prototype, 'handle', protectedOne)
        Object.defineProperty(SuiteController.prototype, 'handle', protectedOne)
        Controller()(SuiteController)
        return SuiteController
      })
      const app = await createApp(platform, appModule({ controllers }, options))
      if (platform.platform === 'express') Object(app).useBodyParser('text')
      await app.init()
      await app.getHttpAdapter().getInstance().ready?.()
      return app.getHttpServer() as Server
    },
  })
})
