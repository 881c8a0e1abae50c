import { getCurrentUser } from '@kest/core'
import {
  type ArgumentsHost,
  Body,
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  Inject,
  Injectable,
  type NestInterceptor,
  Param,
  type PipeTransform,
  Post,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common'
import { HttpAdapterHost, REQUEST } from '@nestjs/core'
import { tap } from 'rxjs'
import { describe, expect, it } from 'vitest'
import { Protect, type WithKest } from '../src/index.js'
import { nestVersion, PLATFORMS, serve } from './support/apps.js'
import { callerHeaders, createService, operations } from './support/kest.js'

const seen: Record<string, unknown>[] = []

function see(where: string): void {
  seen.push({ [where]: getCurrentUser(), operations: operations() })
}

class Guard implements CanActivate {
  canActivate(): boolean {
    see('guard')
    return true
  }
}

class Stop implements CanActivate {
  canActivate(): boolean {
    return false
  }
}

class Around implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler) {
    see('interceptor')
    return next.handle().pipe(tap(() => see('interceptor, after')))
  }
}

class Trim implements PipeTransform {
  transform(value: unknown): unknown {
    if (typeof value !== 'string') return value
    see('pipe')
    return value.trim()
  }
}

class Teapot extends Error {}

@Catch(Teapot)
class TeapotFilter implements ExceptionFilter {
  constructor(@Inject(HttpAdapterHost) private readonly host: HttpAdapterHost) {}

  catch(_error: Teapot, host: ArgumentsHost): void {
    see('filter')
    this.host.httpAdapter.reply(host.switchToHttp().getResponse(), { tea: true }, 418)
  }
}

@Injectable({ scope: Scope.REQUEST })
class OfRequest {
  readonly user: string | null
  constructor(@Inject(REQUEST) readonly request: WithKest) {
    this.user = request.kest.user
    see('provider of the request')
  }
}

@Controller('orders')
class OrdersController {
  @Protect({ policy: 'orders/read', resource: (_context, [id]) => ({ id: String(id) }) })
  @UseGuards(Guard)
  @UseInterceptors(Around)
  @Get(':id')
  find(@Param('id', Trim) id: string): unknown {
    see('handler')
    return { id }
  }

  @Post()
  @UseGuards(Guard)
  @Protect({ policy: 'orders/write' })
  create(@Body() body: { id?: string }): unknown {
    see('handler')
    return body
  }

  @Get('tea/pot')
  @UseFilters(TeapotFilter)
  @Protect({ policy: 'tea' })
  async tea(): Promise<never> {
    throw new Teapot()
  }

  @Get('stopped/:id')
  @Protect({ policy: 'orders/read' })
  @UseGuards(Stop)
  stopped(): unknown {
    return expect.unreachable()
  }
}

@Controller({ path: 'scoped', scope: Scope.REQUEST })
class ScopedController {
  constructor(@Inject(OfRequest) private readonly own: OfRequest) {}

  @Get()
  @Protect({ policy: 'scoped' })
  find(): unknown {
    see('handler')
    return { user: this.own.user }
  }
}

const metadata = {
  controllers: [OrdersController, ScopedController],
  providers: [OfRequest, Guard, Around, Stop],
}

describe.each(PLATFORMS)(`NestJS ${nestVersion()} on $platform: what runs where`, (platform) => {
  it('guards, interceptors and pipes run before the operation, in the state of the request, and the handler in it', async () => {
    seen.length = 0
    const { kest, engine } = createService()
    const url = await serve(platform, metadata, { kest })
    const answer = await fetch(`${url}/orders/%207`, { headers: await callerHeaders() })
    expect([answer.status, await answer.json()]).toEqual([200, { id: '7' }])
    const before = ['caller.call']
    expect(seen).toEqual([
      { guard: 'alice', operations: before },
      { interceptor: 'alice', operations: before },
      { pipe: 'alice', operations: before },
      { handler: 'alice', operations: [...before, 'GET /orders/:id'] },
      { 'interceptor, after': 'alice', operations: before },
    ])
    expect(engine.requests.map(({ context }) => context.object)).toMatchObject([{ id: '7' }])
  })

  it('a filter runs in the state of the request, and an error of the handler is the application’s', async () => {
    seen.length = 0
    const { kest } = createService()
    const url = await serve(platform, metadata, { kest })
    const answer = await fetch(`${url}/orders/tea/pot`, { headers: await callerHeaders() })
    expect([answer.status, await answer.json()]).toEqual([418, { tea: true }])
    expect(seen).toEqual([{ filter: 'alice', operations: ['caller.call'] }])
  })

  it('what a guard stops has no entry, and its handler does not run', async () => {
    const { kest, engine } = createService()
    const url = await serve(platform, metadata, { kest })
    const answer = await fetch(`${url}/orders/stopped/7`, { headers: await callerHeaders() })
    expect([answer.status, engine.requests.length]).toEqual([403, 0])
  })

  it('a guard behind a parsed body runs in the state of its request', async () => {
    seen.length = 0
    const { kest } = createService()
    const url = await serve(platform, metadata, { kest })
    const answers = await Promise.all(
      ['alice', 'bob', 'carol'].map(async (user) => {
        const headers = { ...(await callerHeaders(user)), 'content-type': 'application/json' }
        return fetch(`${url}/orders`, { method: 'POST', headers, body: JSON.stringify({ id: user }) })
      }),
    )
    expect(await Promise.all(answers.map((answer) => answer.json()))).toEqual([
      { id: 'alice' },
      { id: 'bob' },
      { id: 'carol' },
    ])
    const users = (where: string) => seen.flatMap((one) => (where in one ? [one[where]] : [])).sort()
    expect([users('guard'), users('handler')]).toEqual(Array(2).fill(['alice', 'bob', 'carol']))
  })

  it('what is made for one request is made in its state, and its handlers are protected', async () => {
    seen.length = 0
    const { kest } = createService()
    const url = await serve(platform, metadata, { kest })
    const answer = await fetch(`${url}/scoped`, { headers: await callerHeaders() })
    expect([answer.status, await answer.json()]).toEqual([200, { user: 'alice' }])
    expect(seen).toEqual([
      { 'provider of the request': 'alice', operations: ['caller.call'] },
      { handler: 'alice', operations: ['caller.call', 'GET /scoped'] },
    ])
  })
})
