import {
  Agent as Agent7,
  interceptors as interceptors7,
  fetch as packageFetch,
  request as request7,
} from 'undici'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type SeenAnswer,
  type SendForReceipt,
  testHostileReceipts,
  testReceipts,
} from '../../../tests/outbound/receipt-suite.js'
import { CALLEE, receiptCaller, receiptFor } from '../../../tests/outbound/receipts.js'
import { startServer } from '../../../tests/outbound/server.js'
import { createKestFetch, kestInterceptor, patchGlobalFetch, withKest } from '../src/index.js'
import { undicis } from './support/undicis.js'

const agents: { close(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(agents.splice(0).map((each) => each.close()))
})

interface FetchAnswer {
  readonly status: number
  readonly headers: { keys(): Iterable<string> }
  text(): Promise<string>
}

async function seenBy(response: FetchAnswer): Promise<SeenAnswer> {
  return { status: response.status, names: [...response.headers.keys()], body: await response.text() }
}

const byFetch: SendForReceipt = async (url, rule, method = 'GET') =>
  seenBy(await createKestFetch(rule)(url, { method }))

testReceipts('createKestFetch', byFetch)
testHostileReceipts('createKestFetch', byFetch)

testReceipts('createKestFetch of the package undici', async (url, rule, method = 'GET') =>
  seenBy(await createKestFetch({ ...rule, fetch: packageFetch })(url, { method })),
)

testReceipts('patchGlobalFetch', async (url, rule, method = 'GET') => {
  using _ = patchGlobalFetch(rule)
  return seenBy(await fetch(url, { method }))
})

for (const [name, { Agent, interceptors, request }] of undicis) {
  const send =
    (make: (rule: Parameters<typeof withKest>[1]) => InstanceType<typeof Agent>) =>
    async (
      url: string,
      rule: Parameters<typeof withKest>[1],
      method: 'GET' | 'HEAD' | string = 'GET',
    ): Promise<SeenAnswer> => {
      const agent = make(rule)
      agents.push(agent)
      const dispatcher = agent.compose(interceptors.redirect({ maxRedirections: 1 }))
      const answer = await request(url, { method: method as 'GET', dispatcher })
      const body = await answer.body.text()
      const names = [...Object.keys(answer.headers), ...Object.keys(answer.trailers)]
      return { status: answer.statusCode, names, body }
    }
  const byRequest = send((rule) => withKest(new Agent(), rule))
  testReceipts(`withKest, ${name}`, byRequest)
  testHostileReceipts(`withKest, ${name}`, byRequest)
  testReceipts(
    `kestInterceptor, ${name}`,
    send((rule) => new Agent().compose(kestInterceptor(rule)) as InstanceType<typeof Agent>),
  )
}

describe('what stands around Kest', () => {
  const root = { operation: 'root', policy: 'test', origin: 'system' } as const

  /** A service whose answers may be kept, and that fails as often as it is told to. */
  async function service(failures = 0) {
    let failed = 0
    const nonces: unknown[] = []
    const hop2 = await startServer((received, response) => {
      void receiptFor(received.headers).then((asked) => {
        nonces.push(asked?.nonce)
        const headers = { 'cache-control': 'max-age=600', ...(asked && { 'kest-receipt': asked.receipt }) }
        response.writeHead(failed++ < failures ? 503 : 200, headers).end('done')
      })
    })
    agents.push(hop2)
    return { hop2, nonces }
  }

  function calling(origin: string, mode: 'accept' | 'require' = 'require') {
    const caller = receiptCaller({ [origin]: CALLEE }, { mode })
    return { ...caller, rule: { kest: caller.kest, propagateTo: [origin] } }
  }

  it('K-RECEIPT a cache around it sees no receipt, and answers nobody else: each request has its own', async () => {
    const { hop2, nonces } = await service()
    const { kest, rule, receipts } = calling(hop2.origin)
    const agent = withKest(new Agent7(), rule)
    agents.push(agent)
    const dispatcher = agent.compose(interceptors7.cache())
    await (await kest.begin(root)).run(async () => {
      for (let n = 0; n < 2; n++) {
        const answer = await request7(hop2.origin, { dispatcher })
        expect(answer.headers).not.toHaveProperty('kest-receipt')
        await answer.body.dump()
      }
    })
    expect(new Set(nonces).size).toBe(2)
    expect(receipts()).toHaveLength(2)
  })

  it('K-RECEIPT what a cache beneath it answers anew is of another dispatch, and fails', async () => {
    const { hop2, nonces } = await service()
    const { kest, rule } = calling(hop2.origin)
    const agent = new Agent7()
    agents.push(agent)
    const dispatcher = withKest(agent.compose(interceptors7.cache()), rule)
    await (await kest.begin(root)).run(async () => {
      await (await request7(hop2.origin, { dispatcher })).body.dump()
      await expect(request7(hop2.origin, { dispatcher })).rejects.toMatchObject({ code: 'ERR_KEST_RECEIPT' })
    })
    expect(nonces).toHaveLength(1)
  })

  it('K-RECEIPT a retry is a dispatch of its own', async () => {
    const { hop2, nonces } = await service(1)
    const { kest, rule, receipts } = calling(hop2.origin)
    const agent = withKest(new Agent7(), rule)
    agents.push(agent)
    const dispatcher = agent.compose(
      interceptors7.retry({ minTimeout: 1, maxRetries: 1, statusCodes: [503] }),
    )
    await (await kest.begin(root)).run(async () => {
      const { statusCode, body } = await request7(hop2.origin, { dispatcher })
      expect([statusCode, await body.text()]).toEqual([200, 'done'])
    })
    expect(new Set(nonces).size).toBe(2)
    expect(receipts()).toHaveLength(2)
  })

  it('K-RECEIPT an upgrade is refused before it is sent where receipts are required, and has none where they are accepted', async () => {
    const { hop2 } = await service()
    for (const mode of ['require', 'accept'] as const) {
      const { kest, rule, receipts } = calling(hop2.origin, mode)
      const dispatcher = withKest(new Agent7(), rule)
      agents.push(dispatcher)
      hop2.received.length = 0
      await (await kest.begin(root)).run(async () => {
        const upgraded = dispatcher.upgrade({
          origin: hop2.origin,
          path: '/',
          protocol: 'websocket',
        } as never)
        await expect(upgraded).rejects.toMatchObject(mode === 'require' ? { code: 'ERR_KEST_RECEIPT' } : {})
      })
      expect(receipts()).toEqual([])
      if (mode === 'require') expect(hop2.received).toEqual([])
    }
  })
})
