import { setTimeout as sleep } from 'node:timers/promises'
import type { CacheProvider } from '@kest/core'
import { Agent, fetch, interceptors, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { redirecting, showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { cache, caller, deepWithin, gatedCache, operationsIn } from '../../../tests/outbound/services.js'
import { createKestFetch, withKest } from '../src/index.js'

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

/** The shared cache, from afar. */
function remote(ms: number): CacheProvider {
  return {
    get: (key) => cache.get(key),
    async setIfAbsent(...entry) {
      await sleep(ms)
      return cache.setIfAbsent(...entry)
    },
  }
}

const dead: CacheProvider = {
  get: () => null,
  setIfAbsent: () => Promise.reject(new Error('ECONNREFUSED')),
}

const setUp = (provider?: CacheProvider) => {
  const kest = caller(provider === undefined ? {} : { cache: provider })
  return { kest, rule: { kest, propagateTo: [hop2.origin] } }
}

const names = (entries: number) => Array.from({ length: entries }, (_, n) => `deep${entries - n}`)

describe('passports that are too large for a header', () => {
  it('F-CP-04 travel as a claim check, which is stored before the request leaves', async () => {
    for (const provider of [cache, remote(30)]) {
      const { kest, rule } = setUp(provider)
      const kestFetch = createKestFetch(rule)
      const text = await deepWithin(12, kest, async () => {
        const response = await kestFetch(hop2.origin, {
          method: 'POST',
          body: 'order',
          headers: { baggage: 'a=1' },
        })
        return response.text()
      })
      expect(text).toBe('order')
      const { headers } = hop2.received.pop()!
      expect(headers['baggage']).toMatch(/^kest\.claim_check=[0-9a-f-]{36},kest\.chain_tip=[0-9a-f]{64},a=1$/)
      expect(await operationsIn(headers)).toEqual(names(12))
    }
  })

  it('K-AMBIENT are those of who asked, however long the cache takes', async () => {
    const { kest, rule } = setUp(remote(15))
    const dispatcher = withKest(agent, rule)
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        deepWithin(12 + (index % 3), kest, async () => {
          const { body } = await request(`${hop2.origin}/${12 + (index % 3)}`, { dispatcher })
          await body.dump()
        }),
      ),
    )
    expect(hop2.received).toHaveLength(20)
    for (const { url, headers } of hop2.received) {
      expect(await operationsIn(headers)).toEqual(names(Number(url.slice(1))))
    }
  })

  it('K-REDIRECT are not claimed by a stranger', async () => {
    const { kest, rule } = setUp(remote(5))
    const kestFetch = createKestFetch(rule)
    const url = `${hop2.origin}/to?${encodeURIComponent(`${stranger.origin}/end`)}`
    await deepWithin(12, kest, async () => (await kestFetch(url, { method: 'PUT', body: 'order' })).text())
    expect(stranger.received.map(({ body }) => body)).toEqual(['order'])
    expect(stranger.received.map(showsKest)).toEqual([false])
  })

  it('K-SIZE stop the request where there is no cache', async () => {
    const { kest, rule } = setUp()
    const kestFetch = createKestFetch(rule)
    const error = await deepWithin(12, kest, () => kestFetch(hop2.origin)).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TypeError)
    expect(error).toMatchObject({ message: 'fetch failed', cause: { code: 'ERR_KEST_TOO_LARGE' } })
    expect(hop2.received).toEqual([])
  })

  it('K-CLAIM stop the request when the cache fails; fetch and undici say why', async () => {
    const { kest, rule } = setUp(dead)
    const dispatcher = withKest(agent, rule)
    const asked = deepWithin(12, kest, () => request(hop2.origin, { dispatcher, method: 'POST', body: 'x' }))
    await expect(asked).rejects.toMatchObject({ code: 'ERR_KEST_CACHE', cause: { message: 'ECONNREFUSED' } })
    for (const call of [createKestFetch(rule), (url: string) => fetch(url, { dispatcher })]) {
      const fetched = deepWithin(12, kest, () => call(hop2.origin))
      await expect(fetched).rejects.toMatchObject({
        message: 'fetch failed',
        cause: { code: 'ERR_KEST_CACHE' },
      })
    }
    expect(hop2.received).toEqual([])
  })

  it('K-CLAIM are not tried again by a retry around them', async () => {
    const { kest, rule } = setUp(dead)
    const dispatcher = withKest(agent, rule).compose(interceptors.retry({ minTimeout: 1 }))
    const asked = deepWithin(12, kest, () => request(hop2.origin, { dispatcher }))
    await expect(asked).rejects.toMatchObject({ code: 'ERR_KEST_CACHE' })
  })

  it('are not sent when the caller leaves while they are stored', async () => {
    const reason = new Error('enough')
    for (const client of ['fetch', 'undici']) {
      const { provider, asked, open } = gatedCache()
      const { kest, rule } = setUp(provider)
      const controller = new AbortController()
      const { signal } = controller
      const rejected = expect(
        deepWithin(12, kest, () =>
          client === 'fetch'
            ? createKestFetch(rule)(hop2.origin, { signal })
            : request(hop2.origin, { dispatcher: withKest(agent, rule), signal }),
        ),
      ).rejects.toBe(reason)
      await asked
      controller.abort(reason)
      open()
      await rejected
    }
    // Whatever had been written would be there before the answer to this.
    await (await fetch(hop2.origin, { dispatcher: agent })).text()
    expect(hop2.received).toHaveLength(1)
  })

  it('are not sent when the dispatcher is destroyed while they are stored', async () => {
    const { provider, asked, open } = gatedCache()
    const { kest, rule } = setUp(provider)
    const dispatcher = withKest(new Agent(), rule)
    const rejected = expect(
      deepWithin(12, kest, () => request(hop2.origin, { dispatcher })),
    ).rejects.toMatchObject({ code: 'UND_ERR_DESTROYED' })
    await asked
    await dispatcher.destroy()
    open()
    await rejected
    expect(hop2.received).toEqual([])
  })

  it('tell the handler when what is below throws', async () => {
    const { kest, rule } = setUp(remote(5))
    const broken = {
      dispatch(): boolean {
        throw new Error('below')
      },
    }
    const { dispatch } = withKest(broken, rule) as unknown as Agent
    const told = await deepWithin(
      12,
      kest,
      () =>
        new Promise((onError) => dispatch({ origin: hop2.origin, path: '/', method: 'GET' }, { onError })),
    )
    expect(told).toMatchObject({ message: 'below' })
  })
})
