import axios from 'axios'
import got from 'got'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { redirecting, showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { kest, operationsIn, within } from '../../../tests/outbound/services.js'

let hop2: TestServer
let stranger: TestServer
beforeAll(async () => {
  hop2 = await startServer(redirecting())
  stranger = await startServer(redirecting())
})
afterEach(() => {
  hop2.received.length = 0
  stranger.received.length = 0
})
afterAll(() => Promise.all([hop2.close(), stranger.close()]))

/** As the manual has them. */
const recipes: Record<string, () => (url: string) => Promise<{ status: number }>> = {
  axios() {
    const orders = axios.create({ baseURL: hop2.origin, adapter: 'http', maxRedirects: 0, proxy: false })
    orders.interceptors.request.use(async (config) => {
      const { origin } = new URL(axios.getUri(config))
      if (origin === hop2.origin) await kest.inject(config.headers, origin)
      return config
    })
    return (url) => orders.get(url, { validateStatus: () => true, headers: { baggage: 'a=1' } })
  },
  got() {
    const byGot = got.extend({
      followRedirect: false,
      hooks: {
        beforeRequest: [
          async ({ url, headers }) => {
            if (String(url).startsWith(`${hop2.origin}/`)) await kest.inject(headers, String(url))
          },
        ],
      },
    })
    return async (url) => ({
      status: (await byGot(new URL(url, hop2.origin), { headers: { baggage: 'a=1' } })).statusCode,
    })
  },
}

describe.each(Object.entries(recipes))('by hand: %s', (_, recipe) => {
  it('F-CP-03 K-SCOPE carries the passport to the one origin, and nothing to another', async () => {
    const call = recipe()
    await within('orders.list', () => call('/orders'))
    await within('orders.list', () => call(`${stranger.origin}/orders`))
    expect(await operationsIn(hop2.received[0]!.headers)).toEqual(['orders.list'])
    expect(hop2.received[0]?.headers['baggage']).toMatch(/,a=1$/)
    expect(stranger.received.map(showsKest)).toEqual([false])
  })

  it('K-REDIRECT answers the redirect, and follows none', async () => {
    const call = recipe()
    const { status } = await within('orders.list', () =>
      call(`/to?${encodeURIComponent(`${stranger.origin}/end`)}`),
    )
    expect(status).toBe(302)
    expect(hop2.received.map(showsKest)).toEqual([true])
    expect(stranger.received).toEqual([])
  })
})
