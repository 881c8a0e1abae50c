import { execFile } from 'node:child_process'
import http, { get, request } from 'node:http'
import http2 from 'node:http2'
import https, { get as secureGet, request as secureRequest } from 'node:https'
import { syncBuiltinESMExports } from 'node:module'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { caller, kest, operationsIn, within } from '../../../tests/outbound/services.js'
import { type PropagationRule, patchHttp, type Unpatch } from '../src/index.js'
import { sendRequest } from './support/clients.js'

const IMPORTERS = fileURLToPath(new URL('./support/importers.mjs', import.meta.url))
const native = { request: http.request, get: http.get, addRequest: addRequest() }
const connectNative = http2.connect
const secureNative = { request: https.request, get: https.get }

let hop2: TestServer
let stranger: TestServer
const undoing: Unpatch[] = []
beforeAll(async () => {
  hop2 = await startServer()
  stranger = await startServer()
})
afterEach(() => {
  for (const unpatch of undoing.splice(0)) unpatch()
  hop2.received.length = 0
  stranger.received.length = 0
  Object.assign(http, { request: native.request, get: native.get })
  syncBuiltinESMExports()
})
afterAll(() => Promise.all([hop2.close(), stranger.close()]))

const rule = () => ({ kest, propagateTo: [hop2.origin, 'https://*.svc.local'] })

function patch(options: PropagationRule = rule()): Unpatch {
  const unpatch = patchHttp(options)
  undoing.push(unpatch)
  return unpatch
}

function addRequest(): unknown {
  return Reflect.get(http.Agent.prototype, 'addRequest')
}

/** The operations that hop2 sees when it is called inside one. */
async function seen(): Promise<string[]> {
  await within('orders.list', () => sendRequest(hop2.origin))
  const received = hop2.received.at(-1)!
  return showsKest(received) ? operationsIn(received.headers) : []
}

function expectNative(): void {
  expect([http.request, http.get, addRequest()]).toEqual([native.request, native.get, native.addRequest])
  expect([request, get]).toEqual([native.request, native.get])
  expect([https.request, https.get]).toEqual([secureNative.request, secureNative.get])
  expect([secureRequest, secureGet]).toEqual([secureNative.request, secureNative.get])
  expect(http2.connect).toBe(connectNative)
}

describe('patchHttp', () => {
  it('F-CP-03 lets node:http carry the passport, until it is undone', async () => {
    expect(await seen()).toEqual([])
    const unpatch = patch()
    expect(await seen()).toEqual(['orders.list'])
    unpatch()
    expect(await seen()).toEqual([])
    expectNative()
  })

  it('F-CP-03 K-SCOPE whoever imports the modules sees it, however, and before or after', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [IMPORTERS, hop2.origin, stranger.origin])
    const ways: readonly string[] = JSON.parse(stdout)
    expect(ways).toHaveLength(10)
    expect(hop2.received.map(({ url }) => url.slice(1))).toEqual(ways)
    for (const { headers, url } of hop2.received) {
      expect([url, await operationsIn(headers)]).toEqual([url, url === '/undone' ? [] : ['orders.list']])
    }
    expect(stranger.received.map(({ url }) => url.slice(1))).toEqual(ways)
    expect(stranger.received.filter(showsKest)).toEqual([])
  })

  it('keeps name, length and own properties of what it replaces', () => {
    Object.assign(http.request, { tag: 'theirs' })
    patch()
    for (const [ours, theirs] of [
      [http.request, native.request],
      [http.get, native.get],
      [https.request, secureNative.request],
    ] as const) {
      expect([ours.name, ours.length]).toEqual([theirs.name, theirs.length])
      expect(ours).not.toBe(theirs)
    }
    expect(http.request).toHaveProperty('tag', 'theirs')
    Reflect.deleteProperty(native.request, 'tag')
  })

  it('is undone by using', () => {
    {
      using _ = patchHttp(rule())
      expect(http.request).not.toBe(native.request)
    }
    expectNative()
  })

  it('patching again by the same rule changes nothing, and each has its own undoing', async () => {
    const first = patch()
    const patched = [http.request, http.get, addRequest()]
    const second = patch({ kest, propagateTo: ['https://*.svc.local', hop2.origin] })
    expect([http.request, http.get, addRequest()]).toEqual(patched)
    first()
    first()
    expect(await seen()).toEqual(['orders.list'])
    second()
    expectNative()
  })

  it('K-SCOPE another rule is refused until the first is undone: there is one for the process', () => {
    const unpatch = patch()
    const patched = http.request
    const others: PropagationRule[] = [
      { kest, propagateTo: [hop2.origin] },
      { kest, propagateTo: () => true },
      { propagateTo: rule().propagateTo },
      { ...rule(), hop: true },
      { ...rule(), redirects: 'follow' },
      { kest: caller(), propagateTo: rule().propagateTo },
    ]
    for (const other of others)
      expect(() => patch(other)).toThrow(/^patchHttp: node:http is patched by another rule/)
    expect(http.request).toBe(patched)
    unpatch()
    patch(others[0])
  })

  it('K-SCOPE refuses options that are missing, unknown or wrong, and patches nothing then', () => {
    const wrong = [
      undefined,
      {},
      { propagateTo: 'http://hop2' },
      { propagateTo: [/hop2/] },
      { propagateTo: [], kest: {} },
      { propagateTo: [], hop: 'yes' },
      { propagateTo: [], redirects: 'maybe' },
      { propagateTo: [], state: {} },
    ]
    for (const options of wrong) {
      expect(() => patchHttp(options as never)).toThrow(expect.objectContaining({ code: 'ERR_KEST_CONFIG' }))
    }
    expectNative()
  })

  it('undone under another library’s patch it passes everything on, and leaves that one in place', async () => {
    const unpatch = patch()
    const ours = http.request
    const calls: unknown[] = []
    const theirs = ((...args: Parameters<typeof http.request>) => {
      calls.push(args[0])
      return ours(...args)
    }) as typeof http.request
    http.request = theirs
    expect(await seen()).toEqual(['orders.list'])
    unpatch()
    expect(http.request).toBe(theirs)
    expect([http.get, addRequest()]).toEqual([native.get, native.addRequest])
    expect(await seen()).toEqual([])
    expect(calls).toEqual([hop2.origin, hop2.origin])
  })

  it('patches anew over another library’s patch, and can be undone in any order', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const first = patch()
      const ours = http.request
      const theirs = ((url: string, options: http.RequestOptions, then: never) =>
        ours(url, { ...options, headers: { baggage: 'a=1' } }, then)) as typeof http.request
      http.request = theirs
      const second = patch()
      expect(http.request).not.toBe(theirs)
      expect(await seen()).toEqual(['orders.list'])
      expect(hop2.received.at(-1)!.headers['baggage']).toMatch(
        /^kest\.passport=[^,]+,kest\.chain_tip=\w+,a=1$/,
      )
      const undo = [first, second]
      undo[order[0]!]!()
      expect(await seen()).toEqual(['orders.list'])
      undo[order[1]!]!()
      expect(http.request).toBe(theirs)
      expect(await seen()).toEqual([])
      http.request = native.request
      expectNativeAgent()
    }
  })

  it('lets a mock answer what it likes', () => {
    const mock = (() => 'mocked') as unknown as typeof http.request
    http.request = mock
    patch()
    expect(http.request(hop2.origin)).toBe('mocked')
  })
})

function expectNativeAgent(): void {
  expect(addRequest()).toBe(native.addRequest)
}

describe('patchHttp before configure()', () => {
  it('lets requests out of scope through, cleaned, and stops those that would need an instance', async () => {
    patch({ propagateTo: [hop2.origin] })
    await sendRequest(stranger.origin, { headers: { baggage: 'a=1,kest.user=x' } })
    expect(stranger.received[0]?.headers['baggage']).toBe('a=1')
    await expect(sendRequest(hop2.origin)).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    expect(hop2.received).toEqual([])
  })
})
