import { once } from 'node:events'
import { createKest, currentState, KestConfigError } from '@kest/core'
import { context, propagation } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  Agent,
  BalancedPool,
  Client,
  type Dispatcher,
  fetch,
  interceptors,
  MockAgent,
  Pool,
  request,
} from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { redirecting, showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { caller, kest, operationsIn, within } from '../../../tests/outbound/services.js'
import { withKest } from '../src/index.js'

let hop2: TestServer
let stranger: TestServer
const agents: { close(): Promise<void> }[] = []

/** An agent of its own, closed after the test. */
function agent<D extends { close(): Promise<void> }>(dispatcher: D): D {
  agents.push(dispatcher)
  return dispatcher
}

beforeAll(async () => {
  hop2 = await startServer(redirecting())
  stranger = await startServer(redirecting())
})
afterEach(async () => {
  await Promise.all(agents.splice(0).map((each) => each.close()))
  hop2.received.length = 0
  stranger.received.length = 0
})
afterAll(() => Promise.all([hop2.close(), stranger.close()]))

const rule = () => ({ kest, propagateTo: [hop2.origin] })
const drain = async (response: { body: { dump(): Promise<void> } }) => response.body.dump()

describe('withKest', () => {
  it('F-CP-03 puts the passport on requests to an origin in scope, where it verifies', async () => {
    const dispatcher = agent(withKest(new Agent(), rule()))
    await within('orders.list', async () => drain(await request(`${hop2.origin}/orders`, { dispatcher })))
    expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
  })

  it('K-SCOPE sends nothing of ours to any other origin, whoever put it there', async () => {
    const dispatcher = agent(withKest(new Agent(), rule()))
    const headers = { Baggage: ['kest.passport=%5B%5D,theirs=1;p=2', 'kest.user=eve', '%6Best.jwt=x'] }
    await within('orders.list', async () => drain(await request(stranger.origin, { dispatcher, headers })))
    expect(showsKest(stranger.received[0]!)).toBe(false)
    expect(stranger.received[0]!.headers['baggage']).toBe('theirs=1;p=2')
  })

  it('keeps the members of others as they were written, and replaces those of ours', async () => {
    const dispatcher = agent(withKest(new Agent(), rule()))
    const headers = ['BAGGAGE', 'b=%zz;p = "q" ', 'x-other', '1', 'baggage', 'kest.chain_tip=stale,a=1']
    await within('orders.list', async () => drain(await request(hop2.origin, { dispatcher, headers })))
    const received = hop2.received[0]!.headers
    expect(received['baggage']).toMatch(
      /^kest\.passport=[^,]+,kest\.chain_tip=[0-9a-f]{64},b=%zz;p = "q",a=1$/,
    )
    expect(received['x-other']).toBe('1')
    expect(await operationsIn(received)).toEqual(['orders.list'])
  })

  it('sends no header where there is no lineage, and none of ours that another hand has written', async () => {
    const dispatcher = agent(withKest(new Agent(), rule()))
    await drain(await request(hop2.origin, { dispatcher }))
    await drain(await request(hop2.origin, { dispatcher, headers: { baggage: 'kest.passport=%5B%5D' } }))
    expect(hop2.received.map(({ headers }) => headers['baggage'])).toEqual([undefined, undefined])
  })

  it('K-JWT the bearer token of the request stays here, and what the operation gained goes', async () => {
    const dispatcher = agent(withKest(new Agent(), rule()))
    await within('orders.list', () => {
      const state = { ...currentState()!, jwt: 'ey.secret.token' }
      return kest.run(state, async () => {
        await within('inner', () => {})
        await drain(await request(hop2.origin, { dispatcher }))
      })
    })
    expect(JSON.stringify(hop2.received[0]!.headers)).not.toContain('secret')
    expect(await operationsIn(hop2.received[0]!.headers)).toContain('orders.list')
  })

  it('changes neither the options nor the headers that it is given', async () => {
    const dispatcher = agent(withKest(new Agent(), rule()))
    const headers = Object.freeze({ baggage: 'a=1' })
    await within('orders.list', async () =>
      drain(
        await dispatcher.request(Object.freeze({ origin: hop2.origin, path: '/', method: 'GET', headers })),
      ),
    )
    expect(headers).toEqual({ baggage: 'a=1' })
    expect(hop2.received[0]!.headers['baggage']).toMatch(/^kest\..*,a=1$/)
  })

  it.each([1, 3])(
    'K-AMBIENT 200 requests at once through %i connections carry each its own passport',
    async (n) => {
      const pool = agent(
        withKest(new Pool(hop2.origin, { connections: n }), { ...rule(), origin: hop2.origin }),
      )
      await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          within(`op${index}`, async () => drain(await pool.request({ path: `/${index}`, method: 'GET' }))),
        ),
      )
      expect(hop2.received).toHaveLength(200)
      for (const { url, headers } of hop2.received) {
        expect(await operationsIn(headers)).toEqual([`op${url.slice(1)}`])
      }
    },
  )

  it('K-SCOPE knows where a Pool goes, which its requests do not say', async () => {
    const pool = agent(withKest(new Pool(hop2.origin), rule()))
    await within('orders.list', async () => drain(await pool.request({ path: '/', method: 'GET' })))
    expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
  })

  it('K-SCOPE refuses a request whose origin a dispatcher does not say', async () => {
    const inner = agent(new Pool(hop2.origin))
    const plain = { dispatch: inner.dispatch.bind(inner) } as Dispatcher
    const pool = withKest(plain, rule())
    await expect(
      within(
        'orders.list',
        () =>
          new Promise((resolve, reject) =>
            pool.dispatch(
              { path: '/', method: 'GET' },
              { onResponseEnd: resolve, onResponseError: (_, error) => reject(error) },
            ),
          ),
      ),
    ).rejects.toMatchObject({
      code: 'ERR_KEST_OUTBOUND',
      message: expect.stringContaining('"origin"'),
    })
    expect(hop2.received).toEqual([])
  })

  it.each<[string, (origin: string) => Dispatcher]>([
    ['a Pool', (origin) => new Pool(origin)],
    ['a Client', (origin) => new Client(origin)],
    ['a Pool with interceptors', (origin) => new Pool(origin).compose(interceptors.retry())],
  ])(
    'K-SCOPE %s goes to its own origin, whatever a request says: another is refused',
    async (_name, make) => {
      const elsewhere = agent(withKest(make(stranger.origin), rule()))
      await expect(
        within('orders.list', () => request(hop2.origin, { dispatcher: elsewhere })),
      ).rejects.toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
      expect(stranger.received).toEqual([])
      const there = agent(withKest(make(hop2.origin), rule()))
      await within('orders.list', async () => drain(await request(`${hop2.origin}/x`, { dispatcher: there })))
      expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
    },
  )

  it('K-SCOPE refuses an origin that is not the one that a Pool goes to', async () => {
    const pool = agent(new Pool(stranger.origin))
    expect(() => withKest(pool, { ...rule(), origin: hop2.origin })).toThrow(KestConfigError)
  })

  it('K-SCOPE refuses a BalancedPool, which goes to several places and says none of them', async () => {
    const pool = agent(new BalancedPool([stranger.origin]))
    expect(() => withKest(pool, rule())).toThrow(/origin/)
    const stated = agent(withKest(new BalancedPool([hop2.origin]), { ...rule(), origin: hop2.origin }))
    await within('orders.list', async () => drain(await request(hop2.origin, { dispatcher: stated })))
    expect(hop2.received).toHaveLength(1)
  })

  it('K-SCOPE refuses a request for another origin than the one a dispatcher goes to', async () => {
    const client = agent(withKest(new Client(stranger.origin), { ...rule(), origin: stranger.origin }))
    await expect(
      within('orders.list', () => request(hop2.origin, { dispatcher: client })),
    ).rejects.toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
    expect(stranger.received).toEqual([])
  })

  it('K-SIZE does not send what fits no header, and says why', async () => {
    const small = caller({ propagation: { maxMemberLength: 500 } })
    const dispatcher = agent(withKest(new Agent(), { kest: small, propagateTo: [hop2.origin] }))
    const sent = within('orders.list', () => request(hop2.origin, { dispatcher, method: 'POST', body: 'x' }))
    await expect(sent).rejects.toMatchObject({ code: 'ERR_KEST_TOO_LARGE' })
    expect(hop2.received).toEqual([])
  })

  it('is the dispatcher that it wraps, but for dispatch', async () => {
    const inner = new Agent()
    const dispatcher = withKest(inner, rule())
    expect(dispatcher).toBeInstanceOf(Agent)
    const connected = once(inner, 'connect')
    const heard: unknown[] = []
    expect(dispatcher.on('connect', (origin) => heard.push(origin.origin))).toBe(dispatcher)
    await within('orders.list', async () =>
      drain(await dispatcher.request({ origin: hop2.origin, path: '/', method: 'GET' })),
    )
    await connected
    expect(heard).toEqual([hop2.origin])
    expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
    await dispatcher.close()
    expect(inner.closed).toBe(true)
    expect(dispatcher.closed).toBe(true)
  })

  it('wraps plain objects, frozen ones, and classes with private members', async () => {
    const target = agent(new Agent())
    class Counting {
      #requests = 0
      dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
        this.#requests++
        return target.dispatch(options, handler)
      }
      get requests(): number {
        return this.#requests
      }
      async close(): Promise<void> {
        this.#requests = -1
      }
    }
    const counting = withKest(new Counting(), rule())
    const frozen = withKest(Object.freeze({ dispatch: target.dispatch.bind(target) }), rule())
    for (const dispatcher of [counting, frozen]) {
      const response = await within('orders.list', () =>
        fetch(hop2.origin, { dispatcher: dispatcher as Agent }),
      )
      await response.text()
    }
    expect(counting.requests).toBe(1)
    await counting.close()
    expect(counting.requests).toBe(-1)
    for (const { headers } of hop2.received) expect(await operationsIn(headers)).toEqual(['orders.list'])
  })

  it('K-REDIRECT composes with redirects around it: each hop is judged by itself, there and back', async () => {
    const dispatcher = agent(withKest(new Agent(), { ...rule(), redirects: 'follow' })).compose(
      interceptors.redirect({ maxRedirections: 5 }),
    )
    const back = `${hop2.origin}/end`
    const away = `${stranger.origin}/to?${encodeURIComponent(back)}`
    const url = `${hop2.origin}/to?${encodeURIComponent(away)}`
    await within('orders.list', async () =>
      drain(await request(url, { dispatcher, headers: { baggage: 'a=1' } })),
    )
    expect(stranger.received.map(showsKest)).toEqual([false])
    expect(stranger.received[0]!.headers['baggage']).toBe('a=1')
    expect(hop2.received.map(({ url }) => url.slice(0, 4))).toEqual(['/to?', '/end'])
    for (const { headers } of hop2.received) expect(await operationsIn(headers)).toEqual(['orders.list'])
  })

  it('K-REDIRECT refuses redirects that the dispatcher below follows by itself', async () => {
    const following = agent(new Agent().compose(interceptors.redirect({ maxRedirections: 5 })) as Agent)
    const dispatcher = withKest(following, rule())
    const url = `${hop2.origin}/to?${encodeURIComponent(`${stranger.origin}/`)}`
    await expect(within('orders.list', () => request(url, { dispatcher }))).rejects.toMatchObject({
      code: 'ERR_KEST_OUTBOUND',
    })
    expect(stranger.received).toEqual([])
    // Without a passport in its hands it may go where it likes.
    await drain(await request(url, { dispatcher }))
    expect(stranger.received).toHaveLength(1)
  })

  it('retries carry the passport, inside and outside', async () => {
    for (const compose of [
      (inner: Agent) => withKest(inner.compose(interceptors.retry({ minTimeout: 1 })) as Agent, rule()),
      (inner: Agent) => withKest(inner, rule()).compose(interceptors.retry({ minTimeout: 1 })),
    ]) {
      let failures = 2
      const flaky = await startServer((_, response) => {
        response.writeHead(failures-- > 0 ? 503 : 200).end()
      })
      const dispatcher = compose(agent(new Agent()))
      await within('orders.list', async () =>
        drain(
          await request(flaky.origin, {
            dispatcher: withKest(dispatcher, { kest, propagateTo: [flaky.origin] }),
          }),
        ),
      )
      expect(flaky.received).toHaveLength(3)
      await flaky.close()
    }
  })

  it('a tunnel that is asked of a proxy carries nothing of ours', async () => {
    const { createServer } = await import('node:http')
    const tunnels: unknown[] = []
    const proxy = createServer().on('connect', (incoming, socket) => {
      tunnels.push(incoming.headers['baggage'])
      socket.end('HTTP/1.1 200 OK\r\n\r\n')
    })
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const { port } = proxy.address() as { port: number }
    const origin = `http://127.0.0.1:${port}`
    const dispatcher = agent(withKest(new Agent(), { kest, propagateTo: [origin] }))
    await within('orders.list', async () => {
      const { socket } = await dispatcher.connect({
        origin,
        path: 'hop3:443',
        headers: { baggage: 'a=1,kest.user=x' },
      })
      socket.destroy()
    })
    expect(tunnels).toEqual(['a=1'])
    proxy.close()
  })

  it('answers a MockAgent’s interceptor with the passport in its headers', async () => {
    const mock = new MockAgent()
    mock.disableNetConnect()
    let seen: unknown
    mock
      .get('http://hop3.test')
      .intercept({ path: '/', method: 'POST', body: 'order' })
      .reply(200, ({ headers }) => {
        seen = headers
        return 'ok'
      })
    const dispatcher = agent(withKest(mock, { kest, propagateTo: ['http://hop3.test'] }))
    const text = await within('orders.list', async () => {
      const response = await fetch('http://hop3.test/', { method: 'POST', body: 'order', dispatcher })
      return response.text()
    })
    expect(text).toBe('ok')
    const { baggage } = Object.fromEntries(Object.entries(seen as Record<string, string>))
    expect(await operationsIn({ baggage })).toEqual(['orders.list'])
  })

  it('refuses options that are missing, unknown or wrong when it is called', () => {
    const wrap = (options: unknown) => () => withKest(new Agent(), options as never)
    const wrong = [
      undefined,
      {},
      { propagateTo: 'http://hop2' },
      { propagateTo: [/hop2/] },
      { propagateTo: ['http://hop2/path'] },
      { propagateTo: [], kest: {} },
      { propagateTo: [], kest: null },
      { propagateTo: [], origin: 'hop2' },
      { propagateTo: [], scope: [] },
    ]
    for (const options of wrong)
      expect(wrap(options)).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
    for (const dispatcher of [undefined, {}, { dispatch: 1 }, 'agent']) {
      expect(() => withKest(dispatcher as never, { propagateTo: [] })).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
      )
    }
  })

  it('keeps the rule as it was when it was checked', async () => {
    const propagateTo = [hop2.origin]
    const dispatcher = agent(withKest(new Agent(), { kest, propagateTo }))
    propagateTo.push(stranger.origin)
    await within('orders.list', async () => drain(await request(stranger.origin, { dispatcher })))
    expect(stranger.received.map(showsKest)).toEqual([false])
  })

  it('K-SCOPE a function is asked for the URL of each dispatch; what fails to say yes or no stops the request', async () => {
    const asked: string[] = []
    const wise = agent(
      withKest(new Agent(), {
        kest,
        propagateTo: (url) => asked.push(url.href) > 0 && url.origin === hop2.origin,
      }),
    )
    await within('orders.list', async () =>
      drain(await request(`${hop2.origin}/a?b=c`, { dispatcher: wise })),
    )
    expect(asked).toEqual([`${hop2.origin}/a?b=c`])
    const unwise = agent(withKest(new Agent(), { kest, propagateTo: (async () => true) as never }))
    await expect(
      within('orders.list', () => request(hop2.origin, { dispatcher: unwise })),
    ).rejects.toMatchObject({
      code: 'ERR_KEST_OUTBOUND',
    })
    expect(hop2.received).toHaveLength(1)
  })

  it('tells a handler of either generation, and throws where nobody can be told', async () => {
    const inner = { dispatch: () => expect.fail('sent') }
    const { dispatch } = withKest(inner as unknown as Agent, { propagateTo: [], kest })
    const first = await new Promise((onError) => dispatch({} as never, { onError }))
    const second = await new Promise((tell) => {
      dispatch({} as never, { onResponseError: (_: unknown, error: unknown) => tell(error) } as never)
    })
    for (const error of [first, second]) expect(error).toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
    expect(() => dispatch({} as never, {})).toThrow(TypeError)
    expect(() => dispatch({} as never, null as never)).toThrow(TypeError)
    const third = await new Promise((onError) => dispatch(null as never, { onError }))
    expect(third).toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
  })
})

describe('withKest beside OpenTelemetry', () => {
  beforeAll(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()))
  afterAll(() => context.disable())

  it('K-AMBIENT what dispatches below runs without kest.* in the Baggage of its context', async () => {
    const baggage = propagation.createBaggage({
      'kest.passport': { value: '[]' },
      'KEST.user': { value: 'eve' },
      tenant: { value: 'a' },
    })
    const below: unknown[] = []
    const target = agent(new Agent())
    const inner = {
      dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
        below.push(
          propagation
            .getActiveBaggage()
            ?.getAllEntries()
            .map(([key]) => key),
        )
        return target.dispatch(options, handler)
      },
    }
    const dispatcher = withKest(inner, rule())
    await context.with(propagation.setBaggage(context.active(), baggage), () =>
      within('orders.list', async () => {
        await drain(await request(hop2.origin, { dispatcher: dispatcher as Agent }))
        expect(propagation.getActiveBaggage()?.getAllEntries()).toHaveLength(3)
      }),
    )
    expect(below).toEqual([['tenant']])
  })
})

describe('withKest before configure()', () => {
  it('lets requests out of scope through, cleaned, and stops those that would need an instance', async () => {
    const dispatcher = agent(withKest(new Agent(), { propagateTo: [hop2.origin] }))
    await drain(await request(stranger.origin, { dispatcher, headers: { baggage: 'a=1,kest.user=x' } }))
    expect(stranger.received[0]!.headers['baggage']).toBe('a=1')
    await expect(request(hop2.origin, { dispatcher })).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    expect(hop2.received).toEqual([])
  })

  it('uses the default instance as it is at each request', async () => {
    const { configure } = await import('@kest/core')
    const dispatcher = agent(withKest(new Agent(), { propagateTo: [hop2.origin] }))
    const active = Symbol.for('kest.active.1')
    try {
      configure({})
      await within('orders.list', async () => drain(await request(hop2.origin, { dispatcher })))
      configure({ propagation: { encoding: 'compressed' } })
      await within('orders.list', async () => drain(await request(hop2.origin, { dispatcher })))
    } finally {
      Reflect.deleteProperty(globalThis, active)
    }
    expect(hop2.received.map(({ headers }) => /^[^=]+/.exec(String(headers['baggage']))?.[0])).toEqual([
      'kest.passport',
      'kest.passport_z',
    ])
  })

  it('takes an instance that was made by hand', () => {
    expect(() => withKest(new Agent(), { kest: createKest({}), propagateTo: [] })).not.toThrow()
  })
})
