import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { servedTo, whose } from '../../../tests/outbound/accounts.js'
import { cache, caller, deepWithin, kest } from '../../../tests/outbound/services.js'
import { withKest } from '../src/index.js'

const ORIGIN = 'http://hop2.test'
const options = { origin: ORIGIN, path: '/', method: 'GET' }

const FIRST = [
  'onConnect',
  'onResponseStarted',
  'onHeaders',
  'onUpgrade',
  'onData',
  'onComplete',
  'onError',
  'onBodySent',
]
const SECOND = [
  'onRequestStart',
  'onRequestUpgrade',
  'onResponseStarted',
  'onResponseStart',
  'onResponseData',
  'onResponseEnd',
  'onResponseError',
  'onBodySent',
  'onRequestSent',
]

type Handler = Record<string, unknown>

/** A dispatcher of undici's kind, whose connection is somebody else's. */
function connectionOf(user: string | null) {
  const seen: Handler[] = []
  const elsewhere = servedTo(user, async () => AsyncLocalStorage.snapshot())
  const dispatch = (_options: object, handler: Handler): boolean => seen.push(handler) > 0
  const call = async (name: string): Promise<unknown> =>
    (await elsewhere)(() => (seen[0]![name] as (...args: unknown[]) => unknown)(null, 200, {}, 'OK'))
  return { seen, call, dispatch }
}

describe.each([FIRST, SECOND])('a handler with %s and its fellows', (...names) => {
  it.each([
    ['bob', 'alice', [ORIGIN]],
    ['bob', null, [ORIGIN]],
    ['bob', 'alice', []],
    [null, 'alice', [ORIGIN]],
  ])(
    'K-AMBIENT hears all in the context of %s on the connection of %s, with %j in scope',
    async (user, opener, propagateTo) => {
      const connection = connectionOf(opener)
      const heard: string[] = []
      const listen = (name: string) => [name, () => heard.push(`${name}: ${whose()}`)]
      const dispatcher = withKest(connection, { kest, propagateTo })
      await servedTo(user, async () => dispatcher.dispatch(options, Object.fromEntries(names.map(listen))))
      for (const name of names) await connection.call(name)
      expect(heard).toEqual(names.map((name) => `${name}: ${user ?? 'nobody'}`))
    },
  )

  it('K-AMBIENT is told of a refusal, at once or when a claim check fails, in the context of its own', async () => {
    const failing = caller({
      cache: { setIfAbsent: () => Promise.reject(new Error('down')), get: () => null },
    })
    const dispatcher = withKest(connectionOf('alice'), { kest: failing, propagateTo: [ORIGIN] })
    for (const entries of [1, 12]) {
      const whom = new Promise((resolve) => {
        const told = () => resolve(whose())
        const handler = Object.fromEntries(names.map((name) => [name, told]))
        void deepWithin(entries, failing, () =>
          dispatcher.dispatch({ ...options, ...(entries === 1 && { path: '*' }) }, handler),
        )
      })
      expect(await whom).toMatch(/^deep/)
    }
  })

  it('has the methods that the given one has, and no other', async () => {
    const [start, ...others] = names
    const connection = connectionOf(null)
    const handler = Object.fromEntries(others.map((name) => [name, () => 'ours']))
    withKest(connection, { kest, propagateTo: [] }).dispatch(options, handler)
    for (const name of others) expect(connection.seen[0]?.[name]).toBeTypeOf('function')
    expect(connection.seen[0]?.[start!]).toBeUndefined()
    expect(start! in connection.seen[0]!).toBe(false)
    expect(await connection.call(others[0]!)).toBe('ours')
  })
})

describe('a handler', () => {
  it('is called on itself, wherever it has its methods from, and answers what it answers', async () => {
    class Parent {
      #chunks = 0
      onData(): number {
        return ++this.#chunks
      }
    }
    class Child extends Parent {
      onError(): void {}
      get onHeaders() {
        return () => this.onData() + 10
      }
    }
    const connection = connectionOf(null)
    const handler = new Child()
    withKest(connection, { kest, propagateTo: [] }).dispatch(options, handler as never)
    expect(await connection.call('onData')).toBe(1)
    expect(await connection.call('onHeaders')).toBe(12)
    Object.assign(connection.seen[0]!, { abort: 1 })
    expect(handler).toMatchObject({ abort: 1 })
  })

  it('K-AMBIENT hears all in the context of its own after a claim check was stored', async () => {
    const connection = connectionOf('alice')
    const deep = caller({ cache })
    const heard: string[] = []
    const handler = { onError() {}, onData: () => heard.push(whose()) }
    const dispatcher = withKest(connection, { kest: deep, propagateTo: [ORIGIN] })
    await deepWithin(12, deep, () => dispatcher.dispatch(options, handler))
    await expect.poll(() => connection.seen).toHaveLength(1)
    await connection.call('onData')
    expect(heard[0]).toMatch(/^deep12,.*deep1$/)
  })
})
