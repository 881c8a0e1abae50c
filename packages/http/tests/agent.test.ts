import http from 'node:http'
import https from 'node:https'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { kest, operationsIn, within } from '../../../tests/outbound/services.js'
import { createKestAgent, patchHttp } from '../src/index.js'
import { sendRequest } from './support/clients.js'

let hop2: TestServer
let stranger: TestServer
const agents: { destroy(): void }[] = []
beforeAll(async () => {
  hop2 = await startServer()
  stranger = await startServer()
})
afterEach(() => {
  for (const agent of agents.splice(0)) agent.destroy()
  hop2.received.length = 0
  stranger.received.length = 0
})
afterAll(() => Promise.all([hop2.close(), stranger.close()]))

const rule = () => ({ kest, propagateTo: [hop2.origin] })

function agent<A extends http.Agent>(inner: A, options = rule() as Parameters<typeof createKestAgent>[1]): A {
  const made = createKestAgent(inner, options)
  agents.push(made)
  return made
}

const arrived = () => Promise.all(hop2.received.map(({ headers }) => operationsIn(headers)))

describe('createKestAgent', () => {
  it('is the agent that it wraps, but for addRequest', async () => {
    const inner = new http.Agent({ keepAlive: true })
    const outer = agent(inner)
    expect(outer).toBeInstanceOf(http.Agent)
    expect(agent(new https.Agent())).toBeInstanceOf(https.Agent)
    outer.maxFreeSockets = 3
    expect(inner.maxFreeSockets).toBe(3)
    await within('orders.list', () => sendRequest(hop2.origin, { agent: outer }))
    await within('orders.read', () => sendRequest(hop2.origin, { agent: outer }))
    expect(await arrived()).toEqual([['orders.list'], ['orders.read']])
    await expect.poll(() => Object.keys(inner.freeSockets)).toHaveLength(1)
    expect(outer.freeSockets).toBe(inner.freeSockets)
  })

  it('wraps frozen agents, and classes with private members', async () => {
    class Counting extends http.Agent {
      #requests = 0
      addRequest(...args: unknown[]): void {
        this.#requests++
        Reflect.apply(Reflect.get(http.Agent.prototype, 'addRequest') as () => void, this, args as [])
      }
      get requested(): number {
        return this.#requests
      }
      override destroy(): void {
        this.#requests = -1
        super.destroy()
      }
    }
    const counting = agent(new Counting())
    const plain = new http.Agent()
    const frozen = createKestAgent(
      Object.freeze({
        addRequest: (...args: unknown[]) =>
          Reflect.apply(Reflect.get(plain, 'addRequest') as () => void, plain, args as []),
      }),
      rule(),
    )
    await within('orders.list', async () => {
      await sendRequest(hop2.origin, { agent: counting })
      await sendRequest(hop2.origin, { agent: frozen as never })
    })
    expect(await arrived()).toEqual([['orders.list'], ['orders.list']])
    expect(counting.requested).toBe(1)
    counting.destroy()
    expect(counting.requested).toBe(-1)
  })

  it('K-STATE carries the passport of the state that it is bound to, wherever it is called', async () => {
    const begun = await kest.begin({ operation: 'alice’s', policy: 'test', origin: 'system' })
    const bound = agent(new http.Agent(), { ...rule(), state: begun.enter() })
    await sendRequest(hop2.origin, { agent: bound })
    await within('bob’s', () => sendRequest(hop2.origin, { agent: bound }))
    await within('bob’s', () => sendRequest(hop2.origin, { agent: agent(new http.Agent()) }))
    expect(await arrived()).toEqual([['alice’s'], ['alice’s'], ['bob’s']])
    begun.settle()
    await expect(sendRequest(hop2.origin, { agent: bound })).rejects.toMatchObject({
      code: 'ERR_KEST_STATE_ENDED',
    })
  })

  it('K-SCOPE decides for its requests where node:http is patched, too, by whatever rule', async () => {
    using _ = patchHttp({ kest, propagateTo: [stranger.origin] })
    const ours = agent(new http.Agent())
    for (const headers of [{}, ['host', 'h'], { expect: '100-continue' }]) {
      await within('orders.list', () => sendRequest(hop2.origin, { agent: ours, headers: headers as never }))
      await within('orders.list', () =>
        sendRequest(stranger.origin, { agent: ours, headers: headers as never }),
      )
    }
    expect(await arrived()).toEqual([['orders.list'], ['orders.list'], ['orders.list']])
    expect(stranger.received.map(showsKest)).toEqual([false, false, false])
  })

  it.each([{ headers: ['host', 'h'] }, { headers: { expect: '100-continue' } }])(
    'alone it refuses what Node has written already, and would need a passport: %j',
    async (options) => {
      const ours = agent(new http.Agent())
      const sent = within('orders.list', () =>
        sendRequest(hop2.origin, { agent: ours, ...(options as object) }),
      )
      await expect(sent).rejects.toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
      expect(hop2.received).toEqual([])
      await within('orders.list', () => sendRequest(stranger.origin, { agent: ours, ...(options as object) }))
      expect(stranger.received.map(showsKest)).toEqual([false])
    },
  )

  it('K-SCOPE refuses what is no agent, and options that are missing, unknown or wrong', () => {
    const wrong: readonly (readonly [unknown, unknown])[] = [
      [undefined, rule()],
      [{}, rule()],
      ['agent', rule()],
      [new http.Agent(), undefined],
      [new http.Agent(), {}],
      [new http.Agent(), { propagateTo: [], scope: [] }],
      [new http.Agent(), { propagateTo: [], state: undefined }],
      [new http.Agent(), { propagateTo: [], origin: 'http://hop2' }],
    ]
    for (const [inner, options] of wrong) {
      expect(() => createKestAgent(inner as never, options as never)).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
      )
    }
  })
})
