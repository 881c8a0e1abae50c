import { configure, publishedKeys } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { Controller, Get, Header, Injectable, Module } from '@nestjs/common'
import { Test } from '@nestjs/testing'
import { describe, expect, it } from 'vitest'
import { KestModule, Open, Protect } from '../src/index.js'
import { createApp, listen, nestVersion, PLATFORMS, serve } from './support/apps.js'
import { callerHeaders, createService, operations } from './support/kest.js'

@Controller('orders')
class OrdersController {
  @Get(':id')
  @Protect({ policy: 'orders/read' })
  find(): unknown {
    return operations()
  }
}

describe.each(PLATFORMS)(`NestJS ${nestVersion()} on $platform: KestModule`, (platform) => {
  it('takes its options from a factory, with what is injected', async () => {
    const { kest } = createService()

    @Injectable()
    class Settings {
      readonly origin = 'user_input'
    }

    @Module({ providers: [Settings], exports: [Settings] })
    class SettingsModule {}

    @Module({
      imports: [
        KestModule.forRootAsync({
          imports: [SettingsModule],
          inject: [Settings],
          useFactory: async ({ origin }: Settings) => ({ kest, origin }),
        }),
      ],
      controllers: [OrdersController],
    })
    class AppModule {}

    const url = await listen(await createApp(platform, AppModule))
    const answer = await fetch(`${url}/orders/7`)
    expect([answer.status, await answer.json()]).toEqual([200, ['GET /orders/:id']])
  })

  it('takes the instance of configure()', async () => {
    configure({
      identity: new MockIdentityProvider('service'),
      engine: new MockPolicyEngine(),
      logger: new RecordingLogger(),
    })
    const url = await serve(platform, { controllers: [OrdersController] }, { origin: 'user_input' })
    expect(await (await fetch(`${url}/orders/7`)).json()).toEqual(['GET /orders/:id'])
  })

  it('works in a module of @nestjs/testing', async () => {
    const { kest } = createService()
    const testing = Test.createTestingModule({
      imports: [KestModule.forRoot({ kest })],
      controllers: [OrdersController],
    })
    const module = await testing.setLogger(false as never).compile()
    const url = await listen(module.createNestApplication(platform.adapterOf() as never))
    expect((await fetch(`${url}/orders/7`)).status).toBe(403)
    const answer = await fetch(`${url}/orders/7`, { headers: await callerHeaders() })
    expect([answer.status, await answer.json()]).toEqual([200, ['caller.call', 'GET /orders/:id']])
  })

  it('a controller serves the public keys, as the manual shows', async () => {
    const { kest } = createService()
    const keys = publishedKeys('KeysController', kest)

    @Controller('.well-known/kest')
    class KeysController {
      @Get('jwks.json')
      @Open()
      @Header('content-type', 'application/jwk-set+json')
      keys(): string {
        return keys().body
      }
    }

    const url = await serve(platform, { controllers: [KeysController] }, { kest })
    const answer = await fetch(`${url}/.well-known/kest/jwks.json`)
    expect(answer.headers.get('content-type')).toMatch(/^application\/jwk-set\+json/)
    expect(((await answer.json()) as { keys: unknown[] }).keys).toHaveLength(1)
  })

  it('switchIdentity is asked with the request, and must answer', async () => {
    const { kest } = createService()
    for (const [switchIdentity, status] of [
      [() => false, 200],
      [() => Promise.resolve(true), 500],
      [
        () => {
          throw new Error('secret')
        },
        500,
      ],
    ] as const) {
      const url = await serve(
        platform,
        { controllers: [OrdersController] },
        { kest, switchIdentity: switchIdentity as never },
      )
      expect((await fetch(`${url}/orders/7`, { headers: await callerHeaders() })).status).toBe(status)
    }
  })
})
