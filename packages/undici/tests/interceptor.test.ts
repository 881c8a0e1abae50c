import { Agent, fetch, interceptors, Pool, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { redirecting, showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { kest, operationsIn, within } from '../../../tests/outbound/services.js'
import { kestInterceptor } from '../src/index.js'

const { cache, deduplicate, dns, redirect, retry } = interceptors

let hop2: TestServer
let stranger: TestServer
let agent: Agent

beforeAll(async () => {
  hop2 = await startServer(redirecting(307))
  stranger = await startServer(redirecting(307))
  agent = new Agent()
})
afterEach(() => {
  hop2.received.length = 0
  stranger.received.length = 0
})
afterAll(() => Promise.all([agent.close(), hop2.close(), stranger.close()]))

const interceptor = () => kestInterceptor({ kest, propagateTo: [hop2.origin] })
const to = (origin: string, path = '/end') => `/to?${encodeURIComponent(origin + path)}`

describe('kestInterceptor', () => {
  it('F-CP-03 puts the passport on the requests of a composed dispatcher', async () => {
    const dispatcher = agent.compose(interceptor())
    const text = await within('orders.list', async () => {
      const { body } = await request(hop2.origin, { dispatcher, method: 'POST', body: 'order' })
      return body.text()
    })
    expect(text).toBe('order')
    expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
  })

  it('makes a function of exactly two parameters, which undici insists on', () => {
    expect(interceptor()(() => true)).toHaveLength(2)
  })

  it('K-REDIRECT compose(kest, redirect): a redirect carries the passport only where it is in scope', async () => {
    const following = kestInterceptor({ kest, propagateTo: [hop2.origin], redirects: 'follow' })
    const dispatcher = agent.compose(following, redirect({ maxRedirections: 3 }))
    const body = JSON.stringify({ order: 7 })
    await within('orders.list', async () => {
      const away = await request(hop2.origin + to(stranger.origin), { dispatcher, method: 'PUT', body })
      await away.body.dump()
      const back = await request(stranger.origin + to(hop2.origin), { dispatcher, method: 'PUT', body })
      await back.body.dump()
    })
    expect(stranger.received.map(({ url }) => url.slice(0, 4))).toEqual(['/end', '/to?'])
    expect(stranger.received.map(showsKest)).toEqual([false, false])
    expect(hop2.received.map(({ body }) => body)).toEqual([body, body])
    for (const { headers } of hop2.received) expect(await operationsIn(headers)).toEqual(['orders.list'])
  })

  it('K-REDIRECT compose(redirect, kest): the redirect of a request with a passport is refused, to whomever', async () => {
    const dispatcher = agent.compose(redirect({ maxRedirections: 3 }), interceptor())
    for (const { origin } of [stranger, hop2]) {
      const sent = within('orders.list', () => request(hop2.origin + to(origin), { dispatcher }))
      await expect(sent).rejects.toMatchObject({
        code: 'ERR_KEST_OUTBOUND',
        message: expect.stringContaining('compose(kest, redirect)'),
      })
    }
    expect(stranger.received).toEqual([])
    expect(hop2.received.map(({ url }) => url.slice(0, 4))).toEqual(['/to?', '/to?'])
  })

  it('K-REDIRECT compose(redirect, kest): a request without a passport is none of our business', async () => {
    const dispatcher = agent.compose(redirect({ maxRedirections: 3 }), interceptor())
    const { body } = await request(hop2.origin + to(stranger.origin), { dispatcher })
    await body.dump()
    expect(stranger.received.map(showsKest)).toEqual([false])
  })

  it.each(['compose(kest, cache)', 'compose(cache, kest)'])(
    'K-AMBIENT %s: what was answered to one passport is not given to another',
    async (order) => {
      const answers = await startServer(({ headers }, response) => {
        response.writeHead(200, { 'cache-control': 'public, max-age=60', vary: 'baggage' })
        response.end(String(headers['baggage']))
      })
      const rule = kestInterceptor({ kest, propagateTo: [answers.origin] })
      const dispatcher =
        order === 'compose(kest, cache)' ? agent.compose(rule, cache()) : agent.compose(cache(), rule)
      const ask = async () => {
        const { body } = await request(answers.origin, { dispatcher })
        return await body.text()
      }
      const [alice, mallory] = [await within('alice.reads', ask), await within('mallory.reads', ask)]
      expect(await operationsIn({ baggage: alice })).toEqual(['alice.reads'])
      expect(await operationsIn({ baggage: mallory })).toEqual(['mallory.reads'])
      expect([await ask(), await ask()]).toEqual(['undefined', 'undefined'])
      expect(answers.received).toHaveLength(3)
      await answers.close()
    },
  )

  it('K-AMBIENT compose(deduplicate, kest): each passport makes a request of its own', async () => {
    const slow = await startServer(({ headers }, response) => {
      setTimeout(() => response.end(String(headers['baggage'])), 100)
    })
    const dispatcher = agent.compose(deduplicate(), kestInterceptor({ kest, propagateTo: [slow.origin] }))
    const ask = async () => {
      const { body } = await request(slow.origin, { dispatcher })
      return await body.text()
    }
    const answers = await Promise.all(['alice.reads', 'mallory.reads'].map((name) => within(name, ask)))
    const told = await Promise.all(answers.map((baggage) => operationsIn({ baggage })))
    expect(told).toEqual([['alice.reads'], ['mallory.reads']])
    await slow.close()
  })

  it('compose(dns, kest): the rule sees names, not addresses', async () => {
    const named = hop2.origin.replace('127.0.0.1', 'localhost')
    const rule = kestInterceptor({ kest, propagateTo: [named] })
    const dispatcher = agent.compose(dns({ affinity: 4, dualStack: false }), rule, retry())
    await within('orders.list', async () => {
      const { body } = await request(named, { dispatcher })
      await body.dump()
    })
    expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
  })

  it('takes the origin of a Pool by an option', async () => {
    const origin = hop2.origin
    const pool = new Pool(origin).compose(kestInterceptor({ kest, propagateTo: [origin], origin }))
    await within('orders.list', async () => {
      const { body } = await pool.request({ path: '/', method: 'GET' })
      await body.dump()
    })
    await pool.close()
    expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
  })

  it('leaves the response alone, repeated headers included', async () => {
    const cookies = await startServer((_, response) => {
      response.writeHead(200, { 'set-cookie': ['a=1', 'b=2'] }).end('done')
    })
    const dispatcher = agent.compose(kestInterceptor({ kest, propagateTo: [cookies.origin] }))
    await within('orders.list', async () => {
      const response = await fetch(cookies.origin, { dispatcher })
      expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
      expect(await response.text()).toBe('done')
    })
    await cookies.close()
  })

  it('refuses options that are missing, unknown or wrong when it is called', () => {
    for (const options of [undefined, {}, { propagateTo: [], fetch }, { propagateTo: ['*'] }]) {
      expect(() => kestInterceptor(options as never)).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
      )
    }
  })
})
