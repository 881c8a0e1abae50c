import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { redirecting, showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { kest, operationsIn, within } from '../../../tests/outbound/services.js'
import {
  createKestFetch,
  kestInterceptor,
  type PropagationRule,
  patchGlobalFetch,
  withKest,
} from '../src/index.js'
import { undicis } from './support/undicis.js'

let hop2: TestServer
let hop3: TestServer
let stranger: TestServer
const closing: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  hop2 = await startServer(redirecting(307))
  hop3 = await startServer(redirecting(307))
  stranger = await startServer(redirecting(307))
})
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
  for (const { received } of [hop2, hop3, stranger]) received.length = 0
})
afterAll(() => Promise.all([hop2.close(), hop3.close(), stranger.close()]))

/** Asks one server for the way to the next, and so on, to the end. */
function through(first: TestServer, ...rest: TestServer[]): string {
  const [next, ...others] = rest
  if (next === undefined) return `${first.origin}/end`
  return `${first.origin}/to?${encodeURIComponent(through(next, ...others))}`
}

type Rule = PropagationRule & { readonly hop: true }
type Send = (
  rule: Rule,
  url: string,
  redirect?: 'manual' | 'error',
) => Promise<{ status: number; text: string }>

const init = { method: 'PUT', body: 'order' }
const redirects = { maxRedirections: 5 }

function ways([version, undici]: (typeof undicis)[number]): readonly (readonly [string, Send])[] {
  const { RetryAgent, interceptors } = undici
  const { redirect, retry } = interceptors
  type Dispatcher = InstanceType<typeof undici.Agent>
  const agent = (): Dispatcher => {
    const made = new undici.Agent()
    closing.push(() => made.close())
    return made
  }
  const overInterceptors: Record<string, (rule: Rule) => unknown> = {
    'compose(kest, redirect)': (rule) => agent().compose(kestInterceptor(rule), redirect(redirects)),
    'compose(kest, retry, redirect)': (rule) =>
      agent().compose(kestInterceptor(rule), retry(), redirect(redirects)),
    'compose(kest, redirect, retry)': (rule) =>
      agent().compose(kestInterceptor(rule), redirect(redirects), retry()),
    'withKest(agent).compose(redirect)': (rule) => withKest(agent(), rule).compose(redirect(redirects)),
    'new RetryAgent(withKest(agent)).compose(redirect)': (rule) =>
      new RetryAgent(withKest(agent(), rule)).compose(redirect(redirects)),
  }
  const overFetch: Record<string, (rule: Rule) => unknown> = {
    'fetch over withKest(agent)': (rule) => withKest(agent(), rule),
    'fetch over compose(kest, retry)': (rule) => agent().compose(kestInterceptor(rule), retry()),
    'fetch over new RetryAgent(withKest(agent))': (rule) => new RetryAgent(withKest(agent(), rule)),
  }
  const read = async (response: { status: number; text(): Promise<string> }) => ({
    status: response.status,
    text: await response.text(),
  })
  return [
    ...Object.entries(overInterceptors).map(([name, make]): [string, Send] => [
      `${version}: ${name}`,
      async (rule, url) => {
        const dispatcher = make(rule) as Dispatcher
        const { statusCode, body } = await undici.request(url, { dispatcher, ...init } as never)
        return { status: statusCode, text: await body.text() }
      },
    ]),
    ...Object.entries(overFetch).map(([name, make]): [string, Send] => [
      `${version}: ${name}`,
      async (rule, url, redirect) =>
        read(await undici.fetch(url, { ...init, redirect, dispatcher: make(rule) } as never)),
    ]),
    [
      `${version}: createKestFetch`,
      async (rule, url, redirect) =>
        read(await createKestFetch({ ...rule, fetch: undici.fetch })(url, { ...init, redirect } as never)),
    ],
  ]
}

const nodes: readonly (readonly [string, Send])[] = [
  [
    'Node: patchGlobalFetch',
    async (rule, url, redirect) => {
      using _ = patchGlobalFetch(rule)
      const response = await fetch(url, { ...init, redirect } as never)
      return { status: response.status, text: await response.text() }
    },
  ],
  [
    'Node: fetch over withKest(agent)',
    async (rule, url, redirect) => {
      const agent = new undicis[0]![1].Agent()
      closing.push(() => agent.close())
      const response = await fetch(url, { ...init, redirect, dispatcher: withKest(agent, rule) } as never)
      return { status: response.status, text: await response.text() }
    },
  ],
]

const all = [...undicis.flatMap(ways), ...nodes]
const rule = (): Rule => ({ kest, propagateTo: [hop2.origin, hop3.origin], hop: true })

const refused = async (sent: Promise<unknown>): Promise<void> => {
  const error = await sent.then(
    () => expect.fail('was not refused'),
    (reason: unknown) => reason as Error,
  )
  expect(error instanceof TypeError ? error.cause : error).toMatchObject({
    code: 'ERR_KEST_OUTBOUND',
    message: expect.stringContaining('redirects: "follow"'),
  })
}

describe.each(all)('K-REDIRECT %s', (name, send) => {
  it('a redirect to another of ours is not followed with a passport, by default', async () => {
    await refused(within('orders.list', () => send(rule(), through(hop2, hop3))))
    expect(hop2.received).toHaveLength(1)
    expect(hop3.received).toEqual([])
  })

  it('nor by a way round over a stranger, nor one that a stranger sends', async () => {
    await refused(within('orders.list', () => send(rule(), through(hop2, stranger, hop3))))
    await refused(within('orders.list', () => send(rule(), through(stranger, hop3))))
    expect(stranger.received.map(showsKest)).toEqual([false, false])
    expect(hop3.received).toEqual([])
  })

  it('is followed to a stranger without a passport, and to anyone where there is none', async () => {
    const { text } = await within('orders.list', () => send(rule(), through(hop2, stranger)))
    expect(text).toBe('order')
    expect(stranger.received.map(showsKest)).toEqual([false])
    expect(await send(rule(), through(hop2, hop3))).toEqual({ status: 200, text: 'order' })
  })

  it('is followed on demand, with the passport and a token of its own', async () => {
    await within('orders.list', () => send({ ...rule(), redirects: 'follow' }, through(hop2, hop3)))
    expect(hop3.received.map(({ body }) => body)).toEqual(['order'])
    expect(await operationsIn(hop3.received[0]!.headers)).toEqual(['orders.list'])
  })

  it('one call’s redirect is no other’s', async () => {
    await within('orders.list', async () => {
      await refused(send(rule(), through(hop2, hop3)))
      await send(rule(), through(hop3))
      await Promise.all([refused(send(rule(), through(hop2, hop3))), send(rule(), `${hop3.origin}/other`)])
    })
    expect(hop3.received.map(({ url }) => url)).toEqual(['/end', '/other'])
  })

  it.runIf(name.includes('etch'))('a caller that asks for the 3xx gets it', async () => {
    await within('orders.list', async () => {
      expect(await send(rule(), through(hop2, hop3), 'manual')).toMatchObject({ status: 307 })
      await expect(send(rule(), through(hop2, hop3), 'error')).rejects.toThrow('fetch failed')
    })
    expect(hop3.received).toEqual([])
  })

  it.runIf(/KestFetch|patch/.test(name))('and may go there by itself', async () => {
    await within('orders.list', async () => {
      await send(rule(), through(hop2, hop3), 'manual')
      await send(rule(), through(hop3), 'manual')
    })
    expect(hop3.received).toHaveLength(1)
  })
})

describe.each(undicis)('K-REDIRECT %s', (_name, undici) => {
  it('who follows no redirects gets the 3xx, and may go there by itself, from a listener too', async () => {
    const agent = new undici.Agent()
    const dispatcher = withKest(agent, rule())
    const go = (url: string) => undici.request(url, { dispatcher, method: 'GET' })
    await within('orders.list', async () => {
      const { statusCode, headers, body } = await go(through(hop2, hop3))
      expect(statusCode).toBe(307)
      await body.dump()
      await (await go(String(headers['location']))).body.dump()
    })
    expect(hop3.received).toHaveLength(1)
    await agent.close()
  })

  it('a fetch that is not ours may go there by itself the second time', async () => {
    const agent = new undici.Agent()
    const dispatcher = withKest(agent, rule())
    const go = (url: string) => undici.fetch(url, { dispatcher, redirect: 'manual' })
    await within('orders.list', async () => {
      await (await go(through(hop2, hop3))).text()
      await refused(go(through(hop3)))
      await (await go(through(hop3))).text()
    })
    expect(hop3.received).toHaveLength(1)
    await agent.close()
  })

  it('a place that is written in raw bytes is known again', async () => {
    const raw = await startServer((_, response) => {
      response.writeHead(307, { location: Buffer.from(`${hop3.origin}/ä?ö`).toString('latin1') }).end()
    })
    const agent = new undici.Agent()
    const dispatcher = withKest(agent, { ...rule(), propagateTo: [raw.origin, hop3.origin] })
    await refused(within('orders.list', () => undici.fetch(raw.origin, { dispatcher })))
    expect(hop3.received).toEqual([])
    await agent.close()
    await raw.close()
  })
})

describe('the option redirects', () => {
  it('is "follow" or "refuse"', () => {
    const wrong = { ...rule(), redirects: 'manual' } as unknown as Rule
    const makes = [
      () => withKest({ dispatch: () => true }, wrong),
      () => kestInterceptor(wrong),
      () => createKestFetch(wrong),
      () => patchGlobalFetch(wrong),
    ]
    for (const make of makes) expect(make).toThrow(/redirects: expected "follow" or "refuse"/)
  })

  it('is part of the rule of a patch', () => {
    using _ = patchGlobalFetch(rule())
    using __ = patchGlobalFetch({ ...rule(), redirects: 'refuse', propagateTo: [hop3.origin, hop2.origin] })
    expect(() => patchGlobalFetch({ ...rule(), redirects: 'follow' })).toThrow(/another rule/)
  })
})
