import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { caller, kest, operationsIn, within } from '../../../tests/outbound/services.js'
import { patchGlobalFetch, type Unpatch } from '../src/index.js'

let hop2: TestServer
let stranger: TestServer
const native = globalThis.fetch
const undoing: Unpatch[] = []

beforeAll(async () => {
  hop2 = await startServer()
  stranger = await startServer()
})
afterEach(() => {
  for (const unpatch of undoing.splice(0)) unpatch()
  globalThis.fetch = native
  hop2.received.length = 0
  stranger.received.length = 0
})
afterAll(() => Promise.all([hop2.close(), stranger.close()]))

const rule = () => ({ kest, propagateTo: [hop2.origin, 'https://*.svc.local'] })

function patch(options: Parameters<typeof patchGlobalFetch>[0] = rule()): Unpatch {
  const unpatch = patchGlobalFetch(options)
  undoing.push(unpatch)
  return unpatch
}

/** The operations that hop2 sees when the global fetch is called inside one. */
async function seen(): Promise<string[]> {
  await within('orders.list', async () => (await fetch(hop2.origin)).text())
  const received = hop2.received.at(-1)!
  return showsKest(received) ? operationsIn(received.headers) : []
}

describe('patchGlobalFetch', () => {
  it('F-CP-03 lets the global fetch carry the passport, until it is undone', async () => {
    expect(await seen()).toEqual([])
    const unpatch = patch()
    expect(await seen()).toEqual(['orders.list'])
    unpatch()
    expect(await seen()).toEqual([])
    expect(globalThis.fetch).toBe(native)
  })

  it('K-SCOPE other origins get no member of ours', async () => {
    patch()
    const headers = { baggage: 'kest.user=eve,a=1' }
    await within('orders.list', async () => (await fetch(stranger.origin, { headers })).text())
    expect(stranger.received.map(showsKest)).toEqual([false])
  })

  it('K-SCOPE requires a rule', () => {
    const wrong = [
      undefined,
      {},
      { propagateTo: undefined },
      { propagateTo: '*' },
      { propagateTo: [], fetch },
    ]
    for (const options of wrong) {
      expect(() => patchGlobalFetch(options as never)).toThrow(
        expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
      )
    }
    expect(globalThis.fetch).toBe(native)
  })

  it('keeps name, length, own properties and the property of the global object', () => {
    const before = Object.getOwnPropertyDescriptor(globalThis, 'fetch')
    const unpatch = patch()
    const { value, ...attributes } = Object.getOwnPropertyDescriptor(globalThis, 'fetch')!
    expect([value.name, value.length]).toEqual([native.name, native.length])
    expect({ value: native, ...attributes }).toEqual(before)
    unpatch()
    expect(Object.getOwnPropertyDescriptor(globalThis, 'fetch')).toEqual(before)
  })

  it('gives back an inherited fetch, and a getter, as they were', () => {
    const before = Object.getOwnPropertyDescriptor(globalThis, 'fetch')!
    try {
      Object.defineProperty(globalThis, 'fetch', { get: () => native, configurable: true })
      const unpatch = patch()
      expect(globalThis.fetch).not.toBe(native)
      unpatch()
      expect(Object.getOwnPropertyDescriptor(globalThis, 'fetch')).toHaveProperty('get')
    } finally {
      Object.defineProperty(globalThis, 'fetch', before)
    }
  })

  it('says so when there is no fetch, or it cannot be replaced', () => {
    const before = Object.getOwnPropertyDescriptor(globalThis, 'fetch')!
    try {
      Object.defineProperty(globalThis, 'fetch', { value: undefined, configurable: true, writable: true })
      expect(() => patch()).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
    } finally {
      Object.defineProperty(globalThis, 'fetch', before)
    }
    const define = vi.spyOn(Reflect, 'defineProperty').mockReturnValue(false)
    try {
      expect(() => patch()).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
    } finally {
      define.mockRestore()
    }
    expect(() => patch({ ...rule(), propagateTo: [] })).not.toThrow()
  })

  it('is undone by using', async () => {
    {
      using _ = patch()
      expect(globalThis.fetch).not.toBe(native)
    }
    expect(globalThis.fetch).toBe(native)
  })

  it('patching again by the same rule changes nothing, and each has its own undoing', async () => {
    const first = patch()
    const patched = globalThis.fetch
    const second = patch({ kest, propagateTo: ['https://*.svc.local', hop2.origin] })
    expect(globalThis.fetch).toBe(patched)
    first()
    first()
    expect(globalThis.fetch).toBe(patched)
    expect(await seen()).toEqual(['orders.list'])
    second()
    expect(globalThis.fetch).toBe(native)
  })

  it('K-SCOPE another rule is refused until the first is undone: there is one for the process', async () => {
    const unpatch = patch()
    const patched = globalThis.fetch
    const others = [
      { kest, propagateTo: [hop2.origin] },
      { kest, propagateTo: [...rule().propagateTo, stranger.origin] },
      { kest, propagateTo: () => true },
      { propagateTo: rule().propagateTo },
      { kest: caller(), propagateTo: rule().propagateTo },
    ]
    for (const other of others) {
      expect(() => patch(other)).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
    }
    expect(globalThis.fetch).toBe(patched)
    unpatch()
    patch({ kest, propagateTo: [stranger.origin] })
    expect(await seen()).toEqual([])
  })

  it('knows a rule that is a function by the function', () => {
    const propagateTo = () => true
    patch({ kest, propagateTo })
    const patched = globalThis.fetch
    patch({ kest, propagateTo })
    expect(globalThis.fetch).toBe(patched)
  })

  it('undone under another library’s patch it passes everything on, and leaves that one in place', async () => {
    const unpatch = patch()
    const ours = globalThis.fetch
    const calls: unknown[] = []
    const theirs: typeof fetch = (...args) => {
      calls.push(args[0])
      return ours(...args)
    }
    globalThis.fetch = theirs
    expect(await seen()).toEqual(['orders.list'])
    unpatch()
    expect(globalThis.fetch).toBe(theirs)
    expect(await seen()).toEqual([])
    expect(calls).toEqual([hop2.origin, hop2.origin])
  })

  it('patches anew over another library’s patch, and can be undone in any order', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const first = patch()
      const ours = globalThis.fetch
      const theirs: typeof fetch = (input, init) => ours(input, { ...init, headers: { baggage: 'a=1' } })
      globalThis.fetch = theirs
      const second = patch()
      expect(globalThis.fetch).not.toBe(theirs)
      expect(await seen()).toEqual(['orders.list'])
      expect(hop2.received.at(-1)!.headers['baggage']).toMatch(/,a=1$/)
      const undo = [first, second]
      undo[order[0]!]!()
      expect(await seen()).toEqual(['orders.list'])
      undo[order[1]!]!()
      expect(globalThis.fetch).toBe(theirs)
      expect(await seen()).toEqual([])
      globalThis.fetch = native
    }
  })
})
