import { currentState, type KestState } from '@kest/core'
import { Agent, interceptors, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../../../tests/outbound/server.js'
import { kest, operationsIn, within } from '../../../tests/outbound/services.js'
import { createKestFetch, kestInterceptor, patchGlobalFetch, withKest } from '../src/index.js'

let hop2: TestServer
const agent = new Agent()

beforeAll(async () => {
  hop2 = await startServer()
})
afterEach(() => {
  hop2.received.length = 0
})
afterAll(() => Promise.all([agent.close(), hop2.close()]))

/** The state of an operation, and what ends it. */
async function opened(operation: string): Promise<{ readonly state: KestState; settle(): void }> {
  const begun = await kest.begin({ operation, policy: 'test', origin: 'system' })
  return { state: begun.enter(), settle: () => begun.settle() }
}

type Send = (state?: KestState) => Promise<unknown>

const stateOf = (state?: KestState) => (state === undefined ? {} : { state })
const rule = () => ({ kest, propagateTo: [hop2.origin] })
const clients: readonly (readonly [string, Send])[] = [
  [
    'createKestFetch',
    async (state) => (await createKestFetch({ ...rule(), ...stateOf(state) })(hop2.origin)).text(),
  ],
  [
    'withKest',
    async (state) => {
      const dispatcher = withKest(agent, { ...rule(), ...stateOf(state) })
      return (await request(hop2.origin, { dispatcher })).body.dump()
    },
  ],
  [
    'kestInterceptor',
    async (state) => {
      const bound = kestInterceptor({ ...rule(), ...stateOf(state) })
      const dispatcher = agent.compose(bound, interceptors.retry())
      return (await request(hop2.origin, { dispatcher })).body.dump()
    },
  ],
]

describe.each(clients)('K-STATE %s', (_, send) => {
  it('K-STATE carries the passport of the state that it is bound to, wherever it is called', async () => {
    const alice = await opened('alice’s')
    await send(alice.state)
    await within('bob’s', () => send(alice.state))
    await within('bob’s', () => send())
    expect(await Promise.all(hop2.received.map(({ headers }) => operationsIn(headers)))).toEqual([
      ['alice’s'],
      ['alice’s'],
      ['bob’s'],
    ])
    alice.settle()
  })

  it('K-STATE sends nothing in scope once the state is over, bound or ambient', async () => {
    const alice = await opened('alice’s')
    alice.settle()
    const refused = (error: Error) => error.cause ?? error
    const ended = { code: 'ERR_KEST_STATE_ENDED' }
    expect(await send(alice.state).catch(refused)).toMatchObject(ended)
    expect(await within('bob’s', () => send(alice.state).catch(refused))).toMatchObject(ended)
    expect(await kest.run(alice.state, () => send().catch(refused))).toMatchObject(ended)
    let leaked: KestState | null = null
    await within('carol’s', () => {
      leaked = currentState()
    })
    expect(await kest.run(leaked as unknown as KestState, () => send().catch(refused))).toMatchObject(ended)
    expect(hop2.received).toEqual([])
  })
})

it.each([undefined, null, {}, { lifetime: {} }, Promise.resolve({})])(
  'K-STATE a state that is none is refused: %o',
  (state) => {
    const options = { ...rule(), state } as never
    for (const make of [
      () => withKest(agent, options),
      () => createKestFetch(options),
      () => kestInterceptor(options),
    ])
      expect(make).toThrow(/state: expected a state/)
    expect(() => patchGlobalFetch(options)).toThrow(/unknown option "state"/)
  },
)
