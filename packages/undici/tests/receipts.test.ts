import { fetch as packageFetch } from 'undici'
import { afterEach } from 'vitest'
import { type SeenAnswer, type SendForReceipt, testHostileReceipts, testReceipts } from '../../../tests/outbound/receipt-suite.js'
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
