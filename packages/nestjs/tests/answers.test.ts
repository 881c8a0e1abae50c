import { Readable } from 'node:stream'
import { getCurrentUser, type KestState } from '@kest/core'
import { MockPolicyEngine } from '@kest/core/testing'
import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  Get,
  type NestInterceptor,
  Next,
  Param,
  Req,
  Res,
  Sse,
  StreamableFile,
  UseInterceptors,
} from '@nestjs/common'
import {
  concat,
  concatMap,
  defer,
  from,
  lastValueFrom,
  map,
  type Observable,
  of,
  retry,
  Subject,
  tap,
  timer,
  toArray,
} from 'rxjs'
import { describe, expect, it } from 'vitest'
import { Protect, type WithKest } from '../src/index.js'
import { NEST, nestVersion, PLATFORMS, serve } from './support/apps.js'
import { callerHeaders, createService, operations } from './support/kest.js'

/** What is emitted by whoever comes: another request. */
const shared = new Subject<void>()
let fails = 0
const kept: (() => void)[] = []
const ran: unknown[] = []
const later: { readonly state: KestState; again(): Promise<unknown> }[] = []

class Retry implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(retry(2))
  }
}

class Look implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler) {
    return next.handle().pipe(map((values: object) => ({ data: { ...values, downstream: look() } })))
  }
}

/** Runs a handler, and keeps what would run it again. */
class Later implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler) {
    const { kest } = context.switchToHttp().getRequest<WithKest>()
    const keep = () => later.push({ state: kest.state, again: () => lastValueFrom(next.handle()) })
    return next.handle().pipe(tap(keep))
  }
}

/** Runs a handler for what was asked, and then for something else. */
class Another implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler) {
    const request = context.switchToHttp().getRequest()
    const another = defer(() => {
      request.params = { id: '2' }
      return next.handle()
    })
    return concat(next.handle(), another).pipe(toArray())
  }
}

/** Runs what it holds when there are two, all in the context of the second. */
class Batch implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    return new Promise((resolve) => {
      kept.push(() => resolve(next.handle()))
      if (kept.length === 2) for (const go of kept.splice(0)) go()
    })
  }
}

async function* steps(): AsyncGenerator<string> {
  yield JSON.stringify(look())
  await new Promise((resolve) => setTimeout(resolve, 1))
  yield JSON.stringify(look())
}

/** Does its work when it is read. */
function lazily(work: () => string): ReadableStream {
  return new ReadableStream(
    {
      pull(controller) {
        controller.enqueue(Buffer.from(work()))
        controller.close()
      },
    },
    { highWaterMark: 0 },
  )
}

const look = () => ({ user: getCurrentUser(), operations: operations() })

@Controller()
class AnswersController {
  @Get('observable')
  @Protect({ policy: 'x' })
  observable(): Observable<unknown> {
    return timer(1).pipe(map(look))
  }

  @Get('promised')
  @Protect({ policy: 'x' })
  async promised(): Promise<Observable<unknown>> {
    return of(1).pipe(map(look))
  }

  @Sse('events')
  @Protect({ policy: 'x' })
  events(): Observable<unknown> {
    return from([1, 2]).pipe(
      concatMap(() => timer(1)),
      map(() => ({ data: look() })),
    )
  }

  @Protect({ policy: 'x' })
  @UseInterceptors(Look)
  @Sse('shared')
  shared(@Req() { kest }: WithKest): Observable<unknown> {
    return shared.pipe(map(() => ({ upstream: look(), bound: kest.run(look) })))
  }

  @Get('emit')
  @Protect({ policy: 'x' })
  emit(): string {
    shared.next()
    return 'emitted'
  }

  @Get('steps')
  @Protect({ policy: 'x' })
  steps(): AsyncGenerator<string> {
    return steps()
  }

  @Get('file')
  @Protect({ policy: 'x' })
  file(): StreamableFile {
    return new StreamableFile(Buffer.from('content'))
  }

  @Get('streamed')
  @Protect({ policy: 'x' })
  streamed(): StreamableFile {
    return new StreamableFile(Readable.from(steps()))
  }

  @Get('emitted')
  @Protect({ policy: 'x' })
  emitted(): Observable<StreamableFile> {
    return of(new StreamableFile(Readable.from(steps())))
  }

  @Get('web')
  @Protect({ policy: 'x' })
  web(): ReadableStream {
    return lazily(() => JSON.stringify(look()))
  }

  @Get('response')
  @Protect({ policy: 'x' })
  response(): Response {
    return new Response(
      lazily(() => JSON.stringify(look())),
      { status: 203, headers: { 'x-own': 'yes' } },
    )
  }

  @Get('changed/:id')
  @Protect({ policy: 'x', resource: (_context, [id]) => ({ id: String(id) }) })
  @UseInterceptors(Another)
  changed(@Param('id') id: string): unknown {
    return ran.push(id)
  }

  @Get('later')
  @Protect({ policy: 'x' })
  @UseInterceptors(Later)
  later(): string {
    return String(ran.push('later'))
  }

  @Get('own')
  @Protect({ policy: 'x' })
  own(@Res() response: { send(text: string): void }): void {
    setTimeout(() => response.send(JSON.stringify(look())), 1)
  }

  @Get('retried')
  @Protect({ policy: 'x' })
  @UseInterceptors(Retry)
  async retried(): Promise<unknown> {
    if (fails++ < 2) throw new Error('not yet')
    return look()
  }

  @Get('batched/:user')
  @UseInterceptors(Batch)
  @Protect({ policy: 'x' })
  batched(@Param('user') asked: string): unknown {
    return { asked, ...look() }
  }
}

/** Hands on to the next route that there is. */
class HandsOn {
  @Get(':id')
  @Protect({ policy: 'x' })
  on(@Next() next: () => void, @Res() response: { send(text: string): void }): void {
    if (ran.push(operations()) === 1) next()
    else response.send('done')
  }
}

@Controller('on')
class FirstController extends HandsOn {}

@Controller(':any')
class SecondController extends HandsOn {}

const metadata = {
  controllers: [AnswersController, FirstController, SecondController],
  providers: [Retry, Look, Batch, Another, Later],
}

describe.each(PLATFORMS)(`NestJS ${nestVersion()} on $platform: what handlers answer`, (platform) => {
  async function served(engine = new MockPolicyEngine()) {
    const { kest } = createService(engine)
    const url = await serve(platform, metadata, { kest })
    const get = async (path: string, user = 'alice') =>
      fetch(`${url}/${path}`, { headers: await callerHeaders(user) })
    return { get, engine }
  }

  it.each(['observable', 'promised'])('an %s emits inside the operation', async (path) => {
    const { get } = await served()
    const answer = await get(path)
    expect(await answer.json()).toEqual({ user: 'alice', operations: ['caller.call', `GET /${path}`] })
  })

  it('server-sent events are made inside the operation', async () => {
    const { get, engine } = await served()
    const answer = await get('events')
    const data = (await answer.text()).split('\n').flatMap((line) => line.match(/^data: (.*)/)?.[1] ?? [])
    const one = { user: 'alice', operations: ['caller.call', 'GET /events'] }
    expect(data.map((text) => JSON.parse(text))).toEqual([one, one])
    expect(engine.requests).toHaveLength(1)
  })

  it('what comes behind an Observable runs in its operation, whoever emits; what stands before, in that of who emits', async () => {
    const { get } = await served()
    const readers = await Promise.all(
      ['alice', 'bob'].map(async (user) => {
        const { body } = await get('shared', user)
        return body!.pipeThrough(new TextDecoderStream()).getReader()
      }),
    )
    const told = ['', '']
    let missing = readers.length
    const reading = readers.map(async (reader, n) => {
      while (!/"upstream".*\n\n/.test(told[n] as string))
        told[n] += (await reader.read()).value ?? expect.unreachable()
      missing--
    })
    // The second may not have subscribed when the first has.
    while (missing > 0) expect(await (await get('emit', 'carol')).text()).toBe('emitted')
    await Promise.all(reading)
    for (const [n, user] of ['alice', 'bob'].entries()) {
      const own = { user, operations: ['caller.call', 'GET /shared'] }
      const upstream = { user: 'carol', operations: ['caller.call', 'GET /emit'] }
      expect(JSON.parse(/data: (.*)/.exec(told[n] as string)?.[1] as string)).toEqual({
        upstream,
        bound: own,
        downstream: own,
      })
    }
    for (const reader of readers) await reader.cancel()
  })

  it.each(['streamed', 'emitted'])('a stream is read inside the operation: %s', async (path) => {
    const { get } = await served()
    const one = JSON.stringify({ user: 'alice', operations: ['caller.call', `GET /${path}`] })
    expect(await (await get(path)).text()).toBe(one + one)
  })

  it.runIf(NEST !== '11' || platform.platform === 'fastify')('so are streams of the web', async () => {
    const { get } = await served()
    const web = await get('web')
    expect(await web.json()).toEqual({ user: 'alice', operations: ['caller.call', 'GET /web'] })
    const own = await get('response')
    expect([own.status, own.headers.get('x-own')]).toEqual([203, 'yes'])
    expect(await own.json()).toEqual({ user: 'alice', operations: ['caller.call', 'GET /response'] })
  })

  it.runIf(NEST !== '11')('the steps of a generator are taken inside the operation', async () => {
    const { get } = await served()
    const one = '{"user":"alice","operations":["caller.call","GET /steps"]}'
    expect(await (await get('steps')).text()).toBe(one + one)
  })

  it('files and responses of one’s own are as without it', async () => {
    const { get } = await served()
    expect(await (await get('file')).text()).toBe('content')
    expect(await (await get('own')).json()).toEqual({
      user: 'alice',
      operations: ['caller.call', 'GET /own'],
    })
  })

  it('a handler that an interceptor runs again is the same operation, with one entry', async () => {
    fails = 0
    const { get, engine } = await served()
    expect(await (await get('retried')).json()).toEqual({
      user: 'alice',
      operations: ['caller.call', 'GET /retried'],
    })
    expect([fails, engine.requests.length]).toEqual([3, 1])
  })

  it('it is decided again where what it is decided by may have changed', async () => {
    ran.length = 0
    const { get } = await served(new MockPolicyEngine(({ context }) => context.object.id === '1'))
    const answer = await get('changed/1')
    expect([answer.status, ran]).toEqual([403, ['1']])
    expect(await answer.json()).toMatchObject({ code: 'ERR_KEST_DENIED' })
  })

  it('K-STATE it is not run again once the request is over', async () => {
    ran.length = 0
    const { get } = await served()
    expect(await (await get('later')).text()).toBe('1')
    const [{ state, again }] = later.splice(0) as [(typeof later)[number]]
    await expect.poll(() => state.lifetime.ended).toBe(true)
    await expect(again()).rejects.toMatchObject({ code: 'ERR_KEST_STATE_ENDED' })
    expect(ran).toHaveLength(1)
  })

  it.runIf(platform.platform === 'express')(
    'K-ORDER a method that two routes inherit is decided for each of them',
    async () => {
      ran.length = 0
      const { get, engine } = await served()
      expect(await (await get('on/1')).text()).toBe('done')
      const first = ['caller.call', 'GET /on/:id']
      expect(ran).toEqual([first, [...first, 'GET /:any/:id']])
      expect(engine.requests).toHaveLength(2)
    },
  )

  it('K-STATE an interceptor that runs one request’s work in another’s context mixes nobody', async () => {
    kept.length = 0
    const { get, engine } = await served()
    const users = ['alice', 'bob']
    const answers = await Promise.all(users.map(async (user) => (await get(`batched/${user}`, user)).json()))
    expect(answers).toEqual(
      users.map((user) => ({ asked: user, user, operations: ['caller.call', 'GET /batched/:user'] })),
    )
    expect(engine.requests.map(({ context }) => context.subject.user).sort()).toEqual(users)
  })
})
