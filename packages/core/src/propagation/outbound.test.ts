import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { entryOf, jwsLike, lineageOf } from '../../tests/support/lineage.js'
import { stateWith } from '../../tests/support/states.js'
import { Frame } from '../context/frame.js'
import { type KestState, runWithState } from '../context/state.js'
import { KestConfigError } from '../errors.js'
import { Lineage } from '../passport/lineage.js'
import { parseBaggage } from './baggage.js'
import { createOutbound, type OutboundOptions } from './outbound.js'
import type { InjectedEvent } from './passport-writer.js'

const IN = new URL('http://hop2:8000/orders?x=1')
const OUT = new URL('https://stranger.test/')
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

function outboundOf(options: Partial<OutboundOptions> = {}): ReturnType<typeof createOutbound> {
  return createOutbound({ propagateTo: ['http://hop2:8000'], logger: silent, ...options })
}

function stateOf(lineage: Lineage, more: Partial<KestState> = {}): KestState {
  return stateWith({ frame: new Frame(lineage), ...more })
}

const lineage = lineageOf(['a.b.c'])
const state = stateOf(lineage)
const WRITTEN = `kest.passport=%5B%22a.b.c%22%5D,kest.chain_tip=${lineage.tips[0]?.hash}`

describe('createOutbound', () => {
  it('F-CP-03 writes the passport of the ambient state, and keeps the members of others', () => {
    const outbound = outboundOf()
    runWithState(state, () => {
      expect(outbound.baggage(undefined, IN)).toBe(WRITTEN)
      expect(outbound.baggage(['a=1;p=%20', ' b = "2" '], IN)).toBe(`${WRITTEN},a=1;p=%20,b = "2"`)
    })
    expect(outbound.baggage('a=1', IN)).toBe('a=1')
    expect(outbound.baggage(undefined, IN)).toBeUndefined()
  })

  it('a state that is given, or denied, is preferred to the ambient one', () => {
    const outbound = outboundOf()
    expect(outbound.baggage(undefined, IN, state)).toBe(WRITTEN)
    runWithState(state, () => expect(outbound.baggage('a=1', IN, null)).toBe('a=1'))
  })

  it('K-FLOW writes the frame as it is at that moment', () => {
    const outbound = outboundOf()
    const { frame } = state
    const child = stateOf(frame.fork().lineage)
    child.frame.lineage = child.frame.lineage.append(entryOf('d.e.f'))
    const { kest } = parseBaggage(outbound.baggage(undefined, IN, child) as string)
    expect(kest.get('kest.passport')).toBe('["a.b.c","d.e.f"]')
    expect(outbound.baggage(undefined, IN, state)).toBe(WRITTEN)
  })

  it('K-SCOPE K-REDIRECT other origins get no member of ours, not even one that was there', () => {
    const outbound = outboundOf()
    for (const url of [OUT, new URL('http://hop2/'), new URL('https://hop2:8000/')]) {
      expect(outbound.allows(url)).toBe(false)
      expect(outbound.baggage(WRITTEN, url, state)).toBeUndefined()
      expect(outbound.baggage(`a=1,${WRITTEN},KEST.user=x,kest%2Ejwt=y`, url, state)).toBe('a=1')
    }
    expect(outbound.allows(IN)).toBe(true)
  })

  it('K-ONE replaces members of ours that were there, however spelled or malformed', () => {
    const existing = [
      'kest.passport=["old.old.old", "old"]',
      'kest.chain_tip=zz,Kest.user=x,a=1',
      'kest.passport=["cut',
    ]
    expect(outboundOf().baggage(existing, IN, state)).toBe(`${WRITTEN},a=1`)
  })

  it('keeps malformed members of others as they are', () => {
    expect(outboundOf().baggage('a=%zz,nonsense,=,;x', IN, state)).toBe(`${WRITTEN},a=%zz,nonsense,=,;x`)
    expect(outboundOf().baggage('a=%zz,nonsense,=,;x', OUT, state)).toBe('a=%zz,nonsense,=,;x')
  })

  it('K-JWT never sends the bearer token', () => {
    const identity = { context: { user: 'alice', agent: null, task: null }, by: null }
    const header = outboundOf().baggage(
      undefined,
      IN,
      stateOf(lineage, { jwt: 'secret-token', identity }),
    ) as string
    expect(header).toBe(WRITTEN)
  })

  it('an empty lineage writes no member', () => {
    expect(outboundOf().baggage('a=1', IN, stateOf(Lineage.EMPTY, { origin: 'user_input' }))).toBe('a=1')
  })

  it('K-SIZE refuses a request whose other baggage leaves no room, but not to strangers', () => {
    const existing = `a=${'x'.repeat(8150)}`
    const refused = expect.objectContaining({ code: 'ERR_KEST_TOO_LARGE' })
    expect(() => outboundOf().baggage(existing, IN, state)).toThrow(refused)
    expect(outboundOf().baggage(existing, OUT, state)).toBe(existing)
  })

  it('K-CLAIM a cache that fails keeps the request from being sent', async () => {
    const cache = { get: () => null, setIfAbsent: () => Promise.reject(new Error('connection refused')) }
    const long = stateOf(lineageOf(Array.from({ length: 60 }, () => jwsLike(500))))
    await expect(outboundOf({ cache }).baggage(undefined, IN, long)).rejects.toMatchObject({
      code: 'ERR_KEST_CACHE',
    })
  })

  it('tells of what it injects and, for debugging, of what it removes', async () => {
    const events: InjectedEvent[] = []
    const removed: unknown[] = []
    const outbound = outboundOf({
      onInjected: (event) => events.push(event),
      logger: { ...silent, debug: (details) => removed.push(details) },
    })
    await outbound.baggage('a=1', IN, state)
    await outbound.baggage('a=1', OUT, state)
    expect(events).toEqual([
      { origin: 'http://hop2:8000', entries: 1, length: WRITTEN.length + 4, tier: 'plain', share: 1 / 64 },
    ])
    expect(removed).toEqual([])
    await outbound.baggage('kest.jwt=x,KEST.user=y', OUT, null)
    expect(removed).toEqual([{ origin: 'https://stranger.test', members: 2 }])
  })

  it('refuses wrong options when it is made', () => {
    expect(() => outboundOf({ propagateTo: undefined as never })).toThrow(KestConfigError)
    expect(() => outboundOf({ namespace: 'a:b' })).toThrow(KestConfigError)
    expect(() => outboundOf({ propagateto: [] } as never)).toThrow(KestConfigError)
  })

  it('NF-INTER-02 survives real HTTP, where a second baggage header joins it', async () => {
    const server = createServer((incoming, response) => response.end(incoming.headers['baggage'])).listen(
      0,
      '127.0.0.1',
    )
    await new Promise((resolve) => server.once('listening', resolve))
    try {
      const { port } = server.address() as AddressInfo
      const url = new URL(`http://127.0.0.1:${port}`)
      const baggage = outboundOf({ propagateTo: [url.origin] }).baggage('a=1', url, state) as string
      const received = await new Promise<string>((resolve, reject) => {
        const headers = { baggage: [baggage, `b=2,${baggage}`] }
        request(url, { headers }, (response) => {
          let body = ''
          response.setEncoding('utf8').on('data', (chunk) => {
            body += chunk
          })
          response.on('end', () => resolve(body))
        })
          .on('error', reject)
          .end()
      })
      const { kest, foreign } = parseBaggage(received)
      expect(kest.get('kest.passport')).toBe('["a.b.c"]')
      expect(foreign).toEqual(['a=1', 'b=2', 'a=1'])
    } finally {
      server.close()
    }
  })
})
