import { EventEmitter, once } from 'node:events'
import { KestError } from '@kest/core'
import { MockPolicyEngine } from '@kest/core/testing'
import {
  type ArgumentsHost,
  type CallHandler,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  type INestApplication,
  type NestInterceptor,
  Sse,
  UseFilters,
  UseInterceptors,
} from '@nestjs/common'
import { HttpAdapterHost } from '@nestjs/core'
import { catchError, lastValueFrom, NEVER, type Observable, of } from 'rxjs'
import { describe, expect, it } from 'vitest'
import { KestErrorFilter } from '../src/enhancers.js'
import { type KestModuleOptions, Protect } from '../src/index.js'
import { nestVersion, PLATFORMS, serve } from './support/apps.js'
import { callerHeaders, createService } from './support/kest.js'

const caught: unknown[] = []

/** As the manual of Nest writes one: it takes everything, and answers in its own form. */
@Catch()
class EverythingFilter implements ExceptionFilter {
  constructor(private readonly app: INestApplication) {}

  catch(error: unknown, host: ArgumentsHost): void {
    caught.push((error as KestError).code)
    const { httpAdapter } = this.app.get(HttpAdapterHost)
    httpAdapter.reply(host.switchToHttp().getResponse(), { message: (error as Error).message }, 499)
  }
}

/** Answers by the platform's own means. */
@Catch(KestError)
class OwnFilter implements ExceptionFilter {
  catch(_error: KestError, host: ArgumentsHost): void {
    caught.push('own')
    host.switchToHttp().getResponse().status(499).send({ own: true })
  }
}

class Swallow implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(catchError(() => of({ swallowed: true })))
  }
}

@Controller()
class RefusedController {
  @Get('denied')
  @Protect({ policy: 'denied' })
  denied(): never {
    return expect.unreachable()
  }

  @Get('filtered')
  @UseFilters(OwnFilter)
  @Protect({ policy: 'denied' })
  filtered(): never {
    return expect.unreachable()
  }

  @Get('swallowed')
  @UseInterceptors(Swallow)
  @Protect({ policy: 'denied' })
  swallowed(): never {
    return expect.unreachable()
  }

  @Sse('events')
  @Protect({ policy: 'denied' })
  events(): Observable<never> {
    return NEVER
  }

  @Get('inner')
  @Protect({ policy: 'allowed' })
  inner(): never {
    throw new KestError('ERR_KEST_DENIED', 'secret: denied within')
  }

  @Get('broken')
  @Protect({
    policy: 'allowed',
    resource: () => {
      throw new TypeError('secret: the option is broken')
    },
  })
  broken(): never {
    return expect.unreachable()
  }
}

it('an error of Kest in a handler of messages is told as a code, as Nest tells of errors there', async () => {
  const filter = new KestErrorFilter()
  const error = new KestError('ERR_KEST_DENIED', 'secret: denied within')
  const told = { status: 'error', message: 'A policy denies the request', code: 'ERR_KEST_DENIED' }
  const host = (type: string, client: object) =>
    ({ getType: () => type, switchToWs: () => ({ getClient: () => client }) }) as unknown as ArgumentsHost
  const client = new EventEmitter()
  const emitted = once(client, 'exception')
  filter.catch(error, host('ws', client))
  expect(await emitted).toEqual([told])
  const answer = lastValueFrom(filter.catch(error, host('rpc', client)) as Observable<never>)
  await expect(answer).rejects.toEqual(told)
})

describe.each(PLATFORMS)(`NestJS ${nestVersion()} on $platform: what is refused`, (platform) => {
  async function served(options: KestModuleOptions = {}, before?: (app: INestApplication) => unknown) {
    caught.length = 0
    const { kest } = createService(new MockPolicyEngine({ allowed: true }))
    const url = await serve(
      platform,
      { controllers: [RefusedController], providers: [Swallow, OwnFilter] },
      { kest, ...options },
      before,
    )
    return async (path: string, headers?: Record<string, string>) => {
      const answer = await fetch(`${url}/${path}`, { headers: headers ?? (await callerHeaders()) })
      const text = await answer.text()
      return { status: answer.status, type: answer.headers.get('content-type'), body: JSON.parse(text) }
    }
  }

  /** A code, its title, and nothing more. */
  const problem = (status: number, code: string) => ({
    status,
    type: 'application/problem+json',
    body: { type: `urn:kest:error:${code}`, title: expect.not.stringContaining('secret'), status, code },
  })
  const everything = (app: INestApplication) => app.useGlobalFilters(new EverythingFilter(app))

  it.each(['denied', 'filtered', 'swallowed', 'events'])(
    'is answered with problem+json, whatever filters and interceptors there are: %s',
    async (path) => {
      const plain = await served()
      expect(await plain(path)).toEqual(problem(403, 'ERR_KEST_DENIED'))
      expect(caught).toEqual(path === 'filtered' ? ['own'] : [])
      const filtered = await served({}, everything)
      expect(await filtered(path)).toEqual(problem(403, 'ERR_KEST_DENIED'))
      expect(await filtered(path, {})).toEqual(problem(403, 'ERR_KEST_LINEAGE_MISSING'))
      expect(await filtered('inner')).toMatchObject({ status: 499 })
    },
  )

  it('errors of Kest that a handler throws are answered where no filter takes them', async () => {
    const get = await served()
    expect(await get('inner')).toEqual(problem(403, 'ERR_KEST_DENIED'))
  })

  it('what a function among the options throws is told as a code', async () => {
    const get = await served()
    expect(await get('broken')).toEqual(problem(500, 'ERR_KEST_CONFIG'))
  })

  it('with onError "next" filters answer, in the place where they stand, and Kest where there are none', async () => {
    const plain = await served({ onError: 'next' })
    expect(await plain('denied')).toEqual(problem(403, 'ERR_KEST_DENIED'))
    expect(await plain('denied', {})).toEqual(problem(403, 'ERR_KEST_LINEAGE_MISSING'))
    expect(await plain('filtered')).toMatchObject({ status: 499, body: { own: true } })
    expect(await plain('swallowed')).toMatchObject({ status: 200, body: { swallowed: true } })
    const filtered = await served({ onError: 'next' }, everything)
    expect(await filtered('denied')).toMatchObject({ status: 499 })
    expect(await filtered('denied', {})).toMatchObject({ status: 499 })
    expect(caught).toEqual(['ERR_KEST_DENIED', 'ERR_KEST_LINEAGE_MISSING'])
  })

  it('keeps what was set on the answer before: what stands in front of Kest, such as CORS', async () => {
    const { kest } = createService(new MockPolicyEngine(false))
    const adapterOf = () => {
      const adapter = platform.adapterOf()
      adapter.use(
        (_request: unknown, response: { setHeader(name: string, value: string): void }, next: () => void) => {
          response.setHeader('x-before', 'yes')
          next()
        },
      )
      return adapter
    }
    const url = await serve(
      { adapterOf },
      { controllers: [RefusedController], providers: [Swallow, OwnFilter] },
      { kest },
    )
    for (const headers of [{}, await callerHeaders()]) {
      const answer = await fetch(`${url}/denied`, { headers })
      expect([answer.status, answer.headers.get('x-before')]).toEqual([403, 'yes'])
    }
  })

  it.runIf(platform.platform === 'express')(
    'stays refused where an error handler sends the request on',
    async () => {
      const get = await served({ onError: 'next' }, (app) => {
        app.use((_error: Error, _request: object, _response: object, next: () => void) => next())
      })
      expect(await get('denied', {})).toEqual(problem(403, 'ERR_KEST_LINEAGE_MISSING'))
      expect(await get('inner', { baggage: 'kest.passport=%5B%5D' })).toEqual(
        problem(403, 'ERR_KEST_LINEAGE_MISSING'),
      )
    },
  )

  it('leaves the connection usable', async () => {
    const get = await served({}, everything)
    for (let n = 0; n < 5; n++) expect(await get('denied')).toEqual(problem(403, 'ERR_KEST_DENIED'))
  })
})
