import { RecordingLogger } from '@kest/core/testing'
import * as undici from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { caller, operationsIn, within } from '../../../tests/outbound/services.js'
import { createKestFetch, patchGlobalFetch, withKest } from '../src/index.js'
import { dispatcherOfRequest } from '../src/request-dispatcher.js'
import { undicis } from './support/undicis.js'

let hop2: TestServer
const agent = new undici.Agent()
const before = globalThis.fetch

beforeAll(async () => {
  hop2 = await startServer()
})
afterEach(() => {
  hop2.received.length = 0
  globalThis.fetch = before
})
afterAll(async () => {
  await agent.close()
  await hop2.close()
})

/** An application's own: its proxy, or its client certificate. */
function ownDispatcher(over = agent): { readonly dispatcher: undici.Dispatcher; readonly used: string[] } {
  const used: string[] = []
  const dispatcher = over.compose((dispatch) => (options, handler) => {
    used.push(String(options.path))
    return dispatch(options, handler)
  })
  return { dispatcher, used }
}

function setUp(options: { readonly fetch?: typeof globalThis.fetch } = {}) {
  const logger = new RecordingLogger()
  const rule = { kest: caller({ logger }), propagateTo: [hop2.origin] }
  const bypassed = (): unknown[] =>
    logger.records.filter(({ message }) => /could not be seen/.test(message)).map(({ details }) => details)
  return { rule, bypassed, send: createKestFetch({ ...rule, ...options }) }
}

async function carried(): Promise<(readonly string[])[]> {
  return Promise.all(
    hop2.received.map(async (request) => (showsKest(request) ? operationsIn(request.headers) : [])),
  )
}

const agents = new Map(undicis.map(([name, { Agent }]) => [name, new Agent()] as const))
afterAll(() => Promise.all([...agents.values()].map((each) => each.close())))

const fetches = [
  ['the built-in fetch', globalThis.fetch, Request, agent],
  ...undicis.map(
    ([name, { fetch, Request }]) => [`the fetch of ${name}`, fetch, Request, agents.get(name)] as const,
  ),
] as unknown as readonly (readonly [string, typeof globalThis.fetch, typeof Request, undici.Agent])[]

describe.each(fetches)('a Request with a dispatcher of its own, under %s', (_, fetch, RequestOf, over) => {
  const isSeen = dispatcherOfRequest(new RequestOf('http://hop2/')) !== undefined
  const request = (path: string, init: object = {}) => new RequestOf(hop2.origin + path, init)

  it('is sent by that dispatcher, with the passport where it can be seen, and is counted where not', async () => {
    const { send, bypassed } = setUp({ fetch })
    const { dispatcher, used } = ownDispatcher(over)
    await within('first', async () => (await send(request('/own', { dispatcher }))).text())
    expect(used).toEqual(['/own'])
    expect(await carried()).toEqual(isSeen ? [['first']] : [[]])
    expect(bypassed()).toEqual(isSeen ? [] : [{ origin: hop2.origin, count: 1 }])
  })

  it('is sent by that dispatcher also where its class is derived, and has a name of its own', async () => {
    class Traced extends RequestOf {
      get [Symbol.toStringTag](): string {
        return 'Traced'
      }
    }
    const { send } = setUp({ fetch })
    const { dispatcher, used } = ownDispatcher(over)
    const traced = new Traced(`${hop2.origin}/own`, { dispatcher } as object)
    await within('first', async () => (await send(traced)).text())
    expect(used).toEqual(['/own'])
    expect(await carried()).toEqual(isSeen ? [['first']] : [[]])
  })

  it('carries the passport, wherever it is seen, when the dispatcher was wrapped, or is given to the call', async () => {
    const { send, rule, bypassed } = setUp({ fetch })
    const { dispatcher, used } = ownDispatcher(over)
    const wrapped = withKest(dispatcher, rule)
    await within('wrapped', async () => (await send(request('/own', { dispatcher: wrapped }))).text())
    await within('given', async () => (await send(request('/own'), { dispatcher } as object)).text())
    const both = request('/own', { dispatcher: { dispatch: () => expect.unreachable() } })
    await within('rather', async () => (await send(both, { dispatcher } as object)).text())
    expect(used).toEqual(['/own', '/own', '/own'])
    expect(await carried()).toEqual([['wrapped'], ['given'], ['rather']])
    expect(bypassed()).toEqual([])
  })

  it('leaves the body, the method and the init of others as they are', async () => {
    const { send } = setUp({ fetch })
    const { dispatcher } = ownDispatcher(over)
    const post = request('/own', { dispatcher, method: 'POST', body: 'order 7', duplex: 'half' })
    const answer = await within('post', () => send(post, { headers: { 'x-trace': '1' } }))
    expect(await answer.text()).toBe('order 7')
    expect(hop2.received[0]).toMatchObject({ method: 'POST', headers: { 'x-trace': '1' } })
  })

  it('without one goes by the global dispatcher, which is what it was afterwards', async () => {
    const { send, bypassed } = setUp({ fetch })
    const slots = [1, 2].map((n) => Symbol.for(`undici.globalDispatcher.${n}`))
    const globals = (): unknown[] => slots.map((slot) => (globalThis as Record<symbol, unknown>)[slot])
    const was = globals()
    await within('plain', async () => (await send(request('/plain'))).text())
    await within('clone', async () => (await send(request('/plain').clone())).text())
    expect(globals()).toEqual(was)
    expect(await carried()).toEqual([['plain'], ['clone']])
    expect(bypassed()).toEqual([])
  })

  it('of two users at once carries each one’s own', async () => {
    const { send } = setUp({ fetch })
    const users = Array.from({ length: 20 }, (_, n) => `user-${n}`)
    await Promise.all(users.map((user) => within(user, async () => (await send(request(`/${user}`))).text())))
    const seen = await Promise.all(
      hop2.received.map(async ({ url, headers }) => [url, await operationsIn(headers)]),
    )
    expect(seen.sort()).toEqual(users.map((user) => [`/${user}`, [user]]).sort())
  })
})

describe('the global dispatcher, where others look at it while a call is made', () => {
  const slots = [1, 2].map((n) => Symbol.for(`undici.globalDispatcher.${n}`))
  const globals = globalThis as Record<symbol, unknown>
  const was = slots.map((slot) => globals[slot])
  afterEach(() => {
    for (const [n, slot] of slots.entries()) globals[slot] = was[n]
  })

  /** Sets, on its first call, a dispatcher around the global one. */
  function composingOnce(): typeof undici.fetch {
    let first = true
    return (input, init) => {
      const response = undici.fetch(input, init)
      if (first) undici.setGlobalDispatcher(undici.getGlobalDispatcher().compose((dispatch) => dispatch))
      first = false
      return response
    }
  }

  it('puts no passport of that call on what others send by it afterwards', async () => {
    const alice = await setUp().rule.kest.begin({ operation: 'alice', policy: 'test', origin: 'system' })
    const { rule } = setUp()
    const bound = createKestFetch({ ...rule, fetch: composingOnce(), state: alice.enter() })
    await (await bound(new undici.Request(hop2.origin))).text()
    expect(undici.getGlobalDispatcher()).not.toBe(was[0])
    await within('bob', async () => (await undici.fetch(hop2.origin)).text())
    await (await undici.fetch(hop2.origin)).text()
    expect(await carried()).toEqual([['alice'], [], []])
    const ambient = createKestFetch({ ...rule, fetch: undici.fetch })
    await within('bob', async () => (await ambient(new undici.Request(hop2.origin))).text())
    expect((await carried()).at(-1)).toEqual(['bob'])
    alice.settle()
  })

  it('is left as others set it', async () => {
    const { rule } = setUp()
    const other = new undici.Agent()
    const send = createKestFetch({
      ...rule,
      fetch: (input: undici.RequestInfo, init?: undici.RequestInit) => {
        undici.setGlobalDispatcher(other)
        return undici.fetch(input, init)
      },
    })
    await within('carol', async () => (await send(new undici.Request(hop2.origin))).text())
    expect(undici.getGlobalDispatcher()).toBe(other)
    await other.close()
  })
})

describe('a wrapper that makes a Request of what fetch is given, as tracers do', () => {
  it('does not take the application’s dispatcher away', async () => {
    const { rule, bypassed } = setUp()
    const unpatch = patchGlobalFetch(rule)
    try {
      const patched = globalThis.fetch
      globalThis.fetch = (input, init) => patched(new Request(input, init))
      const { dispatcher, used } = ownDispatcher()
      const isSeen = dispatcherOfRequest(new Request('http://hop2/')) !== undefined
      await within('traced', async () => (await fetch(`${hop2.origin}/own`, { dispatcher } as object)).text())
      expect(used).toEqual(['/own'])
      expect(await carried()).toEqual(isSeen ? [['traced']] : [[]])
      expect(bypassed()).toHaveLength(isSeen ? 0 : 1)
    } finally {
      globalThis.fetch = before
      unpatch()
    }
  })

  it('may stand below as well, and answer later', async () => {
    const { send, bypassed } = setUp({
      fetch: async (input, init) => {
        await new Promise(setImmediate)
        return before(new Request(input, init))
      },
    })
    await within('below', async () => (await send(hop2.origin)).text())
    expect(await carried()).toEqual([['below']])
    expect(bypassed()).toEqual([])
  })
})

describe('a fetch that knows no dispatchers', () => {
  const mock: typeof globalThis.fetch = async () => new Response('mocked')

  it('is noticed for requests in scope that should have carried a passport, and for no others', async () => {
    const { send, bypassed } = setUp({ fetch: mock })
    await send(hop2.origin)
    await within('elsewhere', () => send('http://elsewhere/'))
    expect(bypassed()).toEqual([])
    await within('mocked', () => send(hop2.origin))
    expect(bypassed()).toEqual([{ origin: hop2.origin, count: 1 }])
  })

  it('needs no configured Kest where no passport is', async () => {
    const send = createKestFetch({ fetch: mock, propagateTo: [hop2.origin] })
    expect(await (await send(hop2.origin)).text()).toBe('mocked')
  })

  it('is not taken for one by a second Kest around the first', async () => {
    const first = setUp()
    const second = setUp({ fetch: first.send })
    await within('twice', async () => (await second.send(hop2.origin)).text())
    await within('twice', async () => (await second.send(new Request(hop2.origin))).text())
    expect(await carried()).toEqual([['twice'], ['twice']])
    expect([...first.bypassed(), ...second.bypassed()]).toEqual([])
  })
})
