import { Agent, interceptors, request } from 'undici'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { redirecting, showsKest, startServer, type TestServer } from '../../../tests/outbound/server.js'
import { kest, within } from '../../../tests/outbound/services.js'
import {
  createKestFetch,
  kestInterceptor,
  type PropagationRule,
  patchGlobalFetch,
  withKest,
} from '../src/index.js'

let hop2: TestServer
let hop3: TestServer
let stranger: TestServer
beforeAll(async () => {
  hop2 = await startServer(redirecting())
  hop3 = await startServer()
  stranger = await startServer()
})
afterEach(() => {
  for (const { received } of [hop2, hop3, stranger]) received.length = 0
})
afterAll(() => Promise.all([hop2.close(), hop3.close(), stranger.close()]))

const rule = (): PropagationRule & { hop: true } => ({
  propagateTo: [hop2.origin, hop3.origin],
  kest,
  hop: true,
  redirects: 'follow',
})

/** Audience and id of the tokens that a server was sent. */
function tokens({ received }: TestServer): { readonly aud: string; readonly jti: string }[] {
  return received.map(({ headers }) => {
    const token = /kest\.hop=[^.]*\.([^.]*)\./.exec(String(headers['baggage']))?.[1] ?? ''
    return JSON.parse(Buffer.from(token, 'base64url').toString() || 'null')
  })
}

const ways: Readonly<Record<string, (url: string) => Promise<unknown>>> = {
  withKest: (url) =>
    request(url, {
      dispatcher: withKest(new Agent(), rule()).compose(interceptors.redirect({ maxRedirections: 1 })),
    }),
  kestInterceptor: (url) =>
    request(url, {
      dispatcher: new Agent().compose(kestInterceptor(rule()), interceptors.redirect({ maxRedirections: 1 })),
    }),
  createKestFetch: (url) => createKestFetch(rule())(url),
  patchGlobalFetch: async (url) => {
    using _ = patchGlobalFetch(rule())
    return await fetch(url)
  },
}

describe.each(Object.entries(ways))('%s with hop', (_, send) => {
  it('K-HOP sends each request a token of its own, for the origin called', async () => {
    await within('op', async () => {
      await send(`${hop2.origin}/x`)
      await send(`${hop2.origin}/x`)
      await send(`${hop3.origin}/x`)
    })
    const sent = [...tokens(hop2), ...tokens(hop3)]
    expect(sent.map(({ aud }) => aud)).toEqual([hop2.origin, hop2.origin, hop3.origin])
    expect(new Set(sent.map(({ jti }) => jti)).size).toBe(3)
  })

  it('K-REDIRECT makes another token for the next origin', async () => {
    await within('op', () => send(`${hop2.origin}/to?${encodeURIComponent(`${hop3.origin}/end`)}`))
    expect(tokens(hop2).map(({ aud }) => aud)).toEqual([hop2.origin])
    expect(tokens(hop3).map(({ aud }) => aud)).toEqual([hop3.origin])
  })

  it('K-SCOPE sends strangers none', async () => {
    await within('op', () => send(`${stranger.origin}/x`))
    expect(stranger.received.map(showsKest)).toEqual([false])
  })
})

describe('the option hop', () => {
  it('is off by default', async () => {
    const dispatcher = withKest(new Agent(), { propagateTo: [hop2.origin], kest })
    await within('op', () => request(hop2.origin, { dispatcher }))
    expect(hop2.received.map(showsKest)).toEqual([true])
    expect(hop2.received[0]?.headers['baggage']).not.toContain('kest.hop')
  })

  it('is a boolean', () => {
    const wrong = { ...rule(), hop: 'yes' } as unknown as PropagationRule
    for (const make of [() => withKest(new Agent(), wrong), () => createKestFetch(wrong)]) {
      expect(make).toThrow(/hop: expected a boolean/)
    }
  })

  it('is part of the rule by which fetch is patched', () => {
    const { hop: _, ...without } = rule()
    using _patch = patchGlobalFetch(rule())
    expect(() => patchGlobalFetch(without)).toThrow(/another rule/)
    patchGlobalFetch(rule())()
  })
})
