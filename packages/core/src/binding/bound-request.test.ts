import { describe, expect, it } from 'vitest'
import { createKest } from '../config/kest.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import type { ListenerOptions } from '../ingress/listener-options.js'
import { createFunctionEngine } from '../policy/function-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { type BoundPart, type HopOptions, requestTarget, type SentRequest } from './bound-request.js'
import { contentDigest } from './content-digest.js'

const ORDERS = 'https://orders.test'
const gateway = new MockIdentityProvider('gateway')
const trust = createKeySource({ [gateway.getWorkloadId()]: [gateway.getPublicJwk()] })
const engine = createFunctionEngine({ allow: () => true })
const sender = createKest({ identity: gateway, engine, logger: new RecordingLogger() })
const callee = createKest({
  identity: new MockIdentityProvider('orders'),
  engine,
  trust,
  logger: new RecordingLogger(),
})
const ALL: readonly BoundPart[] = ['method', 'path', 'body']
const REQUEST: SentRequest = { method: 'POST', path: '/orders?a=1&b=2', body: ['{"id":1}'] }

async function sent(request: SentRequest | undefined, bind: readonly BoundPart[] = ALL): Promise<string> {
  const { state } = await sender.begin(
    { operation: 'step', policy: 'allow', origin: 'system' },
    { state: null },
  )
  const outbound = sender.outbound({ propagateTo: [ORDERS], hop: bind.length === 0 ? true : { bind } })
  return (await outbound.baggage(undefined, new URL(ORDERS), state, request)) ?? ''
}

interface Came {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly text?: string | undefined
}

const AS_SENT: Came = { method: 'POST', url: '/orders?a=1&b=2', text: '{"id":1}' }

async function received(baggage: string, came: Came = {}, options: ListenerOptions = {}): Promise<string> {
  const { method, url, text } = { ...AS_SENT, ...came }
  const listener = callee.listener({ binding: 'hop', audiences: [ORDERS], ...options })
  const body = text === undefined ? undefined : () => [Buffer.from(text)]
  return listener.receive({ headers: { baggage }, method, url, body }).then(
    () => 'let in',
    ({ code }) => code,
  )
}

describe('what a hop token binds', () => {
  it('K-BODY lets in the very request that was sent, whatever of it is bound and required', async () => {
    for (const bind of [ALL, ['method'], ['path'], ['body'], ['body', 'method']] as BoundPart[][])
      expect(await received(await sent(REQUEST, bind), {}, { require: bind })).toBe('let in')
  })

  it('K-BODY refuses a token that does not bind what is required, each part by itself', async () => {
    for (const missing of ALL) {
      const bind = ALL.filter((part) => part !== missing)
      expect(await received(await sent(REQUEST, bind), {}, { require: [missing] })).toBe('ERR_KEST_BINDING')
    }
    expect(await received(await sent(REQUEST, []), {}, { require: ALL })).toBe('ERR_KEST_BINDING')
  })

  it.each<[string, Came]>([
    ['another method', { method: 'DELETE' }],
    ['a method that is spelled otherwise', { method: 'post' }],
    ['another path', { url: '/admin?a=1&b=2' }],
    ['a query in another order', { url: '/orders?b=2&a=1' }],
    ['no query', { url: '/orders' }],
    ['one parameter more', { url: '/orders?a=1&b=2&admin=1' }],
    ['a path that is escaped otherwise', { url: '/%6frders?a=1&b=2' }],
    ['a path with dots in it', { url: '/x/../orders?a=1&b=2' }],
    ['a slash more', { url: '//orders?a=1&b=2' }],
    ['another body', { text: '{"id":2}' }],
    ['no body', { text: '' }],
    ['one byte more', { text: '{"id":1} ' }],
  ])('K-BODY refuses %s, whether or not it is required', async (_, came) => {
    for (const require of [ALL, undefined])
      expect(await received(await sent(REQUEST), came, { require })).toBe('ERR_KEST_BINDING')
  })

  it('K-BODY an empty body has the digest of nothing, and is no other', async () => {
    expect(contentDigest([])).toBe('sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:')
    for (const body of [null, [], ['']])
      expect(await received(await sent({ ...REQUEST, body }), { text: '' }, { require: ALL })).toBe('let in')
    expect(await received(await sent({ ...REQUEST, body: null }), { text: 'x' })).toBe('ERR_KEST_BINDING')
  })

  it('K-BODY takes a URL that came whole, through a proxy, by its path and query', async () => {
    const url = 'http://orders.test/orders?a=1&b=2'
    expect(await received(await sent(REQUEST), { url }, { require: ALL })).toBe('let in')
    expect(requestTarget('http://orders.test')).toBe('/')
    expect(requestTarget('HTTP://orders.test?a=//b')).toBe('/?a=//b')
    expect(requestTarget('/x?to=http://y/z')).toBe('/x?to=http://y/z')
    expect(requestTarget('*')).toBe('*')
  })

  it('K-BODY reads no body for a token of somebody else, nor for one that was used', async () => {
    let reads = 0
    const body = () => {
      reads++
      return [Buffer.from('{"id":1}')]
    }
    const listener = callee.listener({ binding: 'hop', audiences: [ORDERS], require: ALL })
    const receive = (baggage: string) =>
      listener.receive({ headers: { baggage }, method: 'POST', url: '/orders?a=1&b=2', body })
    const baggage = await sent(REQUEST)
    const [head, , tail] = baggage.split(/(?<=kest\.hop=[^,]*)\.([^.,]*)(?=,|$)/)
    await expect(receive(`${head}.${'A'.repeat(86)}${tail ?? ''}`)).rejects.toThrow(/signed by neither/)
    expect(reads).toBe(0)
    await receive(baggage)
    await expect(receive(baggage)).rejects.toThrow(/used before/)
    expect(reads).toBe(1)
  })

  it('K-BODY says that it is set up wrongly where what is required cannot be seen', async () => {
    for (const came of [{ method: undefined }, { url: undefined }, { text: undefined }] as Came[]) {
      expect(await received(await sent(REQUEST), came, { require: ALL })).toBe('ERR_KEST_CONFIG')
      expect(await received(await sent(REQUEST), came)).toBe('ERR_KEST_BINDING')
    }
  })

  it('K-BODY signs nothing for a client that does not say what it sends', async () => {
    await expect(sent(undefined)).rejects.toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
    const { body: _, ...without } = REQUEST
    await expect(sent(without)).rejects.toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
    await expect(sent(without, ['method', 'path'])).resolves.toContain('kest.hop=')
  })

  it('K-BODY is injected for a request of any client', async () => {
    const { state } = await sender.begin(
      { operation: 'step', policy: 'allow', origin: 'system' },
      { state: null },
    )
    const hop = { bind: ALL }
    const inject = async (options: object): Promise<string> =>
      (await sender.inject({} as { baggage: string }, `${ORDERS}/orders?a=1&b=2`, { hop, state, ...options }))
        .baggage
    const post = await inject({ method: 'POST', body: Buffer.from('{"id":1}') })
    expect(await received(post, {}, { require: ALL })).toBe('let in')
    expect(await received(await inject({}), { method: 'GET', text: '' }, { require: ALL })).toBe('let in')
    await expect(inject({ method: 'POST' })).rejects.toMatchObject({ code: 'ERR_KEST_OUTBOUND' })
    await expect(inject({ method: 'POST', body: 7 })).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
    await expect(inject({ method: 7 })).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })
})

describe('the options of what a hop token binds', () => {
  it.each<[unknown, RegExp]>([
    ['yes', /hop: expected a boolean or/],
    [null, /hop: expected a boolean or/],
    [[], /hop: expected a boolean or/],
    [{}, /hop\.bind: expected a list/],
    [{ bind: [] }, /hop\.bind: expected a list/],
    [{ bind: ['headers'] }, /hop\.bind: expected a list/],
    [{ bind: ['body', 'body'] }, /hop\.bind: expected a list/],
    [{ bind: 'body' }, /hop\.bind: expected a list/],
    [{ bind: ['body'], maxBodyByte: 1 }, /hop: unknown option "maxBodyByte"/],
    [{ bind: ['method'], maxBodyBytes: 1 }, /maxBodyBytes: means nothing/],
    [{ bind: ['body'], maxBodyBytes: -1 }, /maxBodyBytes: expected a number/],
    [{ bind: ['body'], maxBodyBytes: 2 ** 31 }, /maxBodyBytes: expected a number/],
  ])('are checked at the sender: %j', (hop, message) => {
    expect(() => sender.outbound({ propagateTo: [ORDERS], hop: hop as HopOptions })).toThrow(message)
  })

  it.each<[object, RegExp]>([
    [{ require: ['all'] }, /listener\.require: expected a list/],
    [{ require: [] }, /listener\.require: expected a list/],
    [{ require: 'body' }, /listener\.require: expected a list/],
    [{ require: ['body'], maxBodyBytes: 1.5 }, /listener\.maxBodyBytes: expected a number/],
    [{ require: ['body'], binding: 'mtls', audiences: undefined }, /listener\.require: means nothing/],
    [{ maxBodyBytes: 1, binding: 'none', audiences: undefined }, /listener\.maxBodyBytes: means nothing/],
  ])('are checked at the receiver: %j', (options, message) => {
    const given = { binding: 'hop', audiences: [ORDERS], ...options } as ListenerOptions
    expect(() => callee.listener(given)).toThrow(message)
  })

  it('ask for a body only where a passport goes', async () => {
    const { state } = await sender.begin(
      { operation: 'step', policy: 'allow', origin: 'system' },
      { state: null },
    )
    const outbound = sender.outbound({ propagateTo: [ORDERS], hop: { bind: ['body'], maxBodyBytes: 7 } })
    expect(outbound.bodyLimit(new URL(ORDERS), state)).toBe(7)
    expect(outbound.bodyLimit(new URL(ORDERS), null)).toBeNull()
    expect(outbound.bodyLimit(new URL(ORDERS))).toBeNull()
    expect(outbound.bodyLimit(new URL('https://stranger.test'), state)).toBeNull()
    const path = sender.outbound({ propagateTo: [ORDERS], hop: { bind: ['path'] } })
    expect(path.bodyLimit(new URL(ORDERS), state)).toBeNull()
  })
})
