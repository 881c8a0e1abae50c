import { afterEach, describe, expect, it } from 'vitest'
import { NOBODY, servedTo, startAccounts, type User } from '../../../tests/outbound/accounts.js'
import type { TestServer } from '../../../tests/outbound/server.js'
import { kest } from '../../../tests/outbound/services.js'
import {
  createKestFetch,
  kestInterceptor,
  type PropagationRule,
  patchGlobalFetch,
  withKest,
} from '../src/index.js'
import { undicis } from './support/undicis.js'

type Undici = (typeof undicis)[number][1]
type Rule = PropagationRule & { hop: boolean }
type Dispatcher = InstanceType<Undici['Agent']>
type Compose = (undici: Undici, rule: Rule, agent: Dispatcher) => Dispatcher

const redirects = { maxRedirections: 5 }
const retries = { minTimeout: 1, statusCodes: [503] }

/** Kest below what dispatches again, in each way that the manual names. */
const below: Readonly<Record<string, Compose>> = {
  'compose(kest, retry, redirect)': ({ interceptors: { retry, redirect } }, rule, agent) =>
    agent.compose(kestInterceptor(rule), retry(retries), redirect(redirects)) as Dispatcher,
  'compose(dns, cache, kest).compose(retry, redirect)': ({ interceptors }, rule, agent) =>
    agent
      .compose(interceptors.dns(), interceptors.cache(), kestInterceptor(rule))
      .compose(interceptors.retry(retries), interceptors.redirect(redirects)) as Dispatcher,
  'withKest(agent).compose(redirect, retry)': ({ interceptors: { retry, redirect } }, rule, agent) =>
    withKest(agent, rule).compose(redirect(redirects), retry(retries)) as Dispatcher,
  'new RetryAgent(withKest(agent)).compose(redirect)': (
    { RetryAgent, interceptors: { redirect } },
    rule,
    agent,
  ) => new RetryAgent(withKest(agent, rule), retries).compose(redirect(redirects)) as unknown as Dispatcher,
}

/** Kest above what retries: the same request again, and with it the same token. */
const above: Readonly<Record<string, Compose>> = {
  'compose(retry, kest)': ({ interceptors: { retry } }, rule, agent) =>
    agent.compose(retry(retries), kestInterceptor(rule)) as Dispatcher,
  'withKest(new RetryAgent(agent))': ({ RetryAgent }, rule, agent) =>
    withKest(new RetryAgent(agent, retries), rule) as unknown as Dispatcher,
}

let backend: TestServer
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(hop: boolean): Promise<Rule> {
  backend = await startAccounts(hop)
  closing.push(() => backend.close())
  return { kest, propagateTo: [backend.origin], hop, redirects: 'follow' }
}

const USERS: readonly User[] = ['bob', null, 'carol', 'bob', null, 'dave']

/** Somebody opens the connection; then others are served on it, one after the other and all at once. */
async function serveAll(opener: User, ask: (path: string) => Promise<string>, path: string): Promise<void> {
  expect(await servedTo(opener, () => ask('/'))).toBe(opener ?? NOBODY)
  for (const [n, user] of USERS.entries()) {
    expect(await servedTo(user, () => ask(`${path}${n}`))).toBe(user ?? NOBODY)
  }
  const answers = USERS.map((user, n) => servedTo(user, () => ask(`${path}${n + 10}`)))
  expect(await Promise.all(answers)).toEqual(USERS.map((user) => user ?? NOBODY))
}

describe.each(undicis)('K-AMBIENT %s', (_name, undici) => {
  function agentOf(compose: Compose, rule: Rule, pipelining = 1): Dispatcher {
    const agent = new undici.Agent({ connections: 1, pipelining })
    closing.push(() => agent.destroy())
    return compose(undici, rule, agent)
  }

  function requestOver(dispatcher: Dispatcher) {
    return async (path: string): Promise<string> => {
      const { body } = await undici.request(backend.origin + path, { dispatcher })
      return await body.text()
    }
  }

  describe.each(Object.entries(below))('%s', (_name, compose) => {
    it.each<[User, boolean, number]>([
      ['alice', false, 1],
      ['alice', true, 1],
      ['alice', true, 10],
      [null, true, 1],
      [null, false, 10],
    ])(
      'opened by %s, hop %s, pipelining %i: tried again and redirected, each acts for itself',
      async (opener, hop, pipelining) => {
        const dispatcher = agentOf(compose, await start(hop), pipelining)
        await serveAll(opener, requestOver(dispatcher), '/moved/flaky/')
      },
    )

    it('fetch: tried again and redirected, each acts for itself', async () => {
      const dispatcher = agentOf(compose, await start(true))
      const ask = async (path: string) => (await undici.fetch(backend.origin + path, { dispatcher })).text()
      await serveAll('alice', ask, '/moved/flaky/')
    })
  })

  it.each(Object.entries(above))('%s: tried again, each acts for itself', async (_name, compose) => {
    const rule = await start(false)
    for (const opener of ['alice', null]) {
      await serveAll(opener, requestOver(agentOf(compose, rule)), `/flaky/${opener}`)
    }
  })

  it('fetch over a global dispatcher: tried again and redirected, each acts for itself', async () => {
    const rule = await start(true)
    const before = undici.getGlobalDispatcher()
    closing.push(async () => undici.setGlobalDispatcher(before))
    for (const compose of Object.values(below)) {
      undici.setGlobalDispatcher(agentOf(compose, rule))
      const ask = async (path: string) => (await undici.fetch(backend.origin + path)).text()
      await serveAll('alice', ask, `/moved/flaky/${closing.length}`)
    }
  })

  it('createKestFetch over what retries: each acts for itself', async () => {
    const rule = await start(false)
    const kestFetch = createKestFetch({ ...rule, fetch: undici.fetch })
    for (const opener of ['alice', null]) {
      const dispatcher = agentOf((undici, _, agent) => new undici.RetryAgent(agent, retries) as never, rule)
      const ask = async (path: string) => (await kestFetch(backend.origin + path, { dispatcher })).text()
      await serveAll(opener, ask, `/moved/flaky/${opener}`)
    }
  })
})

// undici 8 refuses its dispatchers to the fetch of Node before 26.
describe('K-AMBIENT the fetch of Node, over undici 7', () => {
  const [, undici] = undicis[0]!
  const ways = [...Object.entries(below), ...Object.entries(above)].flatMap(([name, compose]) =>
    [false, true].map((patched) => ({ name, compose, patched })),
  )

  it.each(ways)('$name, patched: $patched: each acts for itself', async ({ name, compose, patched }) => {
    const rule = await start(name in below)
    const agent = new undici.Agent({ connections: 1 })
    closing.push(() => agent.destroy())
    const dispatcher = compose(undici, rule, agent)
    using _ = patchGlobalFetch({ ...rule, propagateTo: patched ? rule.propagateTo : [] })
    const ask = async (path: string) => (await fetch(backend.origin + path, { dispatcher } as object)).text()
    await serveAll('alice', ask, '/moved/flaky/')
  })
})
