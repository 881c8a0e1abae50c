import { connect } from 'node:net'
import { getCurrentUser } from '@kest/core'
import {
  Controller,
  Get,
  Header,
  type INestApplication,
  type MiddlewareConsumer,
  Module,
  Param,
  Post,
  Req,
  RequestMethod,
  SetMetadata,
  Version,
  VersioningType,
} from '@nestjs/common'
import { describe, expect, it } from 'vitest'
import { KestModule, Open, Protect, type WithKest } from '../src/index.js'
import { createApp, listen, nestVersion, PLATFORMS, serve } from './support/apps.js'
import { callerHeaders, createService, operations } from './support/kest.js'

@Controller()
class SomeController {
  @SetMetadata('__fastify_route_config__', { own: true })
  @Open()
  @Get('health')
  health(@Req() request: WithKest & { headers: Record<string, string> }): unknown {
    return {
      operations: operations(),
      kest: request.kest === undefined,
      baggage: request.headers['baggage'] ?? null,
    }
  }

  @Post('health')
  @Protect({ policy: 'x' })
  change(): unknown {
    return { operations: operations() }
  }

  @Get('orders/:id')
  @Protect({ policy: 'x' })
  find(@Param('id') id: string): unknown {
    return { id, user: getCurrentUser() }
  }

  @Get('files/*')
  @Open()
  files(): unknown {
    return { operations: operations() }
  }

  @Header('Kest-Receipt', 'of.somebody.else')
  @Get('passed-on')
  @Open()
  passedOn(): unknown {
    return {}
  }

  @Get('named/:name')
  @Open()
  named(): unknown {
    return {}
  }

  @Get('versions')
  @Version('2')
  @Open()
  versions(): unknown {
    return { operations: operations() }
  }
}

describe.each(PLATFORMS)(`NestJS ${nestVersion()} on $platform: @Open()`, (platform) => {
  async function served(before?: (app: INestApplication) => unknown) {
    const { kest, engine } = createService()
    const url = await serve(platform, { controllers: [SomeController] }, { kest }, before)
    const get = async (path: string, init: RequestInit = {}) => {
      const answer = await fetch(`${url}${path}`, init)
      return { status: answer.status, body: await answer.json() }
    }
    return { get, engine, url }
  }

  it('K-RECEIPT passes on no receipt that its handler has from somebody else', async () => {
    const { url } = await served()
    const answer = await fetch(`${url}/passed-on`)
    expect([answer.status, answer.headers.get('kest-receipt')]).toEqual([200, null])
  })

  it('leaves its requests alone, and takes the lineage that they bring out of their headers', async () => {
    const { get, engine } = await served()
    const alone = { status: 200, body: { operations: null, kest: true, baggage: null } }
    expect(await get('/health')).toEqual(alone)
    expect(await get('/health?a=b')).toEqual(alone)
    expect(await get('/health', { headers: await callerHeaders() })).toEqual(alone)
    expect(await get('/health', { headers: { baggage: 'kest.passport=forged' } })).toEqual(alone)
    expect(await get('/files/a/b')).toEqual({ status: 200, body: { operations: null } })
    expect(engine.requests).toEqual([])
  })

  it('is of one method and path: nothing beside it is open', async () => {
    const { get } = await served()
    for (const [path, method] of [
      ['/health', 'POST'],
      ['/health', 'DELETE'],
      ['/healthy', 'GET'],
      ['/health/x', 'GET'],
      ['/orders/health', 'GET'],
      ['/orders/%2e%2e%2fhealth', 'GET'],
      ['/%', 'GET'],
      ['/nothing', 'GET'],
    ] as const) {
      const { status } = await get(path, { method })
      expect([path, method, [400, 403].includes(status)]).toEqual([path, method, true])
    }
  })

  it('holds under a prefix and for a version in the path', async () => {
    const { get } = await served((app) => {
      app.setGlobalPrefix('api')
      app.enableVersioning({ type: VersioningType.URI })
    })
    expect(await get('/api/health')).toMatchObject({ status: 200 })
    expect(await get('/api/v2/versions')).toEqual({ status: 200, body: { operations: null } })
    expect(await get('/health')).toMatchObject({ status: 403 })
    expect(await get('/api/v1/versions')).toMatchObject({ status: 403 })
    const answer = await get('/api/orders/7', { headers: await callerHeaders() })
    expect(answer).toEqual({ status: 200, body: { id: '7', user: 'alice' } })
  })

  it('holds where module middleware is for its method, its path or its controller', async () => {
    const { kest } = createService()
    for (const where of ['*', { path: 'health', method: RequestMethod.GET }, SomeController]) {
      const seen: unknown[] = []
      class AppModule {
        configure(consumer: MiddlewareConsumer): void {
          const middleware = (_request: object, _response: object, next: () => void): void => {
            seen.push(getCurrentUser())
            next()
          }
          consumer.apply(middleware).forRoutes(where)
        }
      }
      Module({ imports: [KestModule.forRoot({ kest })], controllers: [SomeController] })(AppModule)
      const url = await listen(await createApp(platform, AppModule))
      const health = await fetch(`${url}/health`, { headers: await callerHeaders() })
      expect(await health.json()).toMatchObject({ operations: null })
      expect((await fetch(`${url}/health`)).status).toBe(200)
      expect((await fetch(`${url}/orders/7`)).status).toBe(403)
      expect((await fetch(`${url}/orders/7`, { headers: await callerHeaders() })).status).toBe(200)
      expect(seen.slice(0, 2)).toEqual([null, null])
    }
  })

  it('is of what the platform reads in a path: what it cuts off opens nothing', async () => {
    const { kest } = createService()
    const url = await serve(platform, { controllers: [SomeController] }, { kest }, (app) => {
      const adapter = app.getHttpAdapter()
      adapter.get('/named/metrics', (_request: object, response: object) => adapter.reply(response, {}, 200))
    })
    const statusOf = (path: string): Promise<string> =>
      new Promise((resolve) => {
        // A client of HTTP would not send it so.
        const socket = connect(Number(new URL(url).port), '127.0.0.1', () =>
          socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`, 'latin1'),
        )
        let text = ''
        socket.on('data', (data) => {
          text += data
        })
        socket.on('close', () => resolve(text.split(' ')[1] as string))
      })
    expect(await statusOf('/named/other')).toBe('200')
    for (const path of ['', '#x', '\u00a0', '#', '/'].map((end) => `/named/metrics${end}`))
      expect([path, await statusOf(path)]).not.toEqual([path, '200'])
  })

  it('what is registered on the platform by hand is judged, and has no operation', async () => {
    const { get, engine } = await served((app) => {
      const adapter = app.getHttpAdapter()
      adapter.get('/by-hand', (_request: object, response: object) =>
        adapter.reply(response, { user: getCurrentUser() }, 200),
      )
    })
    expect(await get('/by-hand')).toMatchObject({ status: 403, body: { code: 'ERR_KEST_LINEAGE_MISSING' } })
    expect(await get('/by-hand', { headers: await callerHeaders() })).toEqual({
      status: 200,
      body: { user: 'alice' },
    })
    expect(engine.requests).toEqual([])
  })
})
