import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { chain, failure, strings } from '../../tests/support/signed.js'
import { Passport } from '../passport/passport.js'
import { SignatureCache } from '../passport/signature-cache.js'
import { verifyPassport } from '../passport/verify.js'
import { FakeClock } from '../testing/fake-clock.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { jwksOf } from './jwks.js'
import type { KeySource, VerificationKey } from './key-source.js'
import { MockIdentityProvider } from './mock.js'
import { createRemoteKeySource, type RemoteKeyOptions } from './remote-key-source.js'

const HOP1 = 'spiffe://kest.test/hop1'
const mock = (name: string) => new MockIdentityProvider(name)

let server: Server
let origin: string
let requests: string[]
let answer: RequestListener
let clock: FakeClock
let logger: RecordingLogger

beforeEach(async () => {
  requests = []
  clock = new FakeClock()
  logger = new RecordingLogger()
  answer = serving(jwksOf(mock('hop1')))
  server = createServer((request, response) => {
    requests.push(request.url ?? '')
    answer(request, response)
  })
  // Clients close what is idle. Were it the server, it might be while one of them sends.
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

function serving(body: unknown, status = 200): RequestListener {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/jwk-set+json' })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }
}

function source(
  options: RemoteKeyOptions = {},
  urls: Record<string, string> = { [HOP1]: `${origin}/jwks.json` },
): KeySource {
  return createRemoteKeySource(urls, { clock, logger, ...options })
}

async function kids(
  from: KeySource,
  kid = mock('hop1').getPublicJwk().kid,
  principal = HOP1,
): Promise<(string | undefined)[]> {
  const keys: readonly VerificationKey[] = await from.find({
    principal,
    header: { alg: 'EdDSA', typ: 'JWS', kid },
    time: 0,
  })
  return keys.map((key) => key.kid)
}

const kidOf = (name: string): string => mock(name).getPublicJwk().kid

describe('createRemoteKeySource', () => {
  it('K-PRINCIPAL verifies what a workload signs by the keys it publishes', async () => {
    const trust = source()
    const passport = new Passport(strings(chain({ by: 'hop1' }, { by: 'hop1' })))
    const verified = await verifyPassport(passport, { trust })
    expect(verified.principals).toEqual([HOP1])
    expect(verified.tips[0]?.keySource).toBe('jwks')
    expect(requests).toEqual(['/jwks.json'])
  })

  it('K-PRINCIPAL binds keys to the principal of the URL, and asks for nobody else', async () => {
    const trust = source()
    expect(await kids(trust, kidOf('hop1'), 'spiffe://kest.test/hop2')).toEqual([])
    expect(await kids(trust, kidOf('hop1'), '__proto__')).toEqual([])
    expect(requests).toEqual([])
    // A server that publishes another's key gives it no say for that other.
    answer = serving(jwksOf(mock('hop2')))
    const passport = new Passport(strings(chain({ by: 'hop2' })))
    expect((await failure(verifyPassport(passport, { trust }))).code).toBe('ERR_KEST_KEY_UNKNOWN')
  })

  it('asks once for many that wait, and answers at once afterwards', async () => {
    const trust = source()
    await Promise.all(Array.from({ length: 20 }, () => kids(trust)))
    expect(trust.find({ principal: HOP1, header: { alg: 'EdDSA', typ: 'JWS' }, time: 0 })).toBeInstanceOf(
      Array,
    )
    expect(requests).toHaveLength(1)
  })

  it('K-CACHE follows a rotation at an unknown kid, but at most once a minute', async () => {
    const trust = source()
    await kids(trust)
    const { generation } = trust
    answer = serving(jwksOf(mock('hop1'), mock('next')))
    expect(await kids(trust, kidOf('next'))).toEqual([kidOf('hop1')])
    clock.advance(60_000)
    expect(await kids(trust, kidOf('next'))).toEqual([kidOf('hop1'), kidOf('next')])
    expect(trust.generation).toBe(generation + 1)
    for (let i = 0; i < 5; i++) await kids(trust, 'whatever')
    expect(requests).toHaveLength(2)
  })

  it('K-CACHE keeps its generation when the keys are the same, and forgets signatures when they are not', async () => {
    const trust = source()
    const cache = new SignatureCache()
    const passport = new Passport(strings(chain({ by: 'hop1' })))
    await verifyPassport(passport, { trust, cache })
    await verifyPassport(passport, { trust, cache })
    expect(cache.size).toBe(1)
    const { generation } = trust
    clock.advance(600_001)
    await kids(trust)
    expect(requests).toHaveLength(2)
    expect(trust.generation).toBe(generation)
    answer = serving(jwksOf(mock('next')))
    clock.advance(600_001)
    expect((await failure(verifyPassport(passport, { trust, cache }))).code).toBe('ERR_KEST_SIGNATURE')
    expect(trust.generation).toBe(generation + 1)
  })

  it('uses what it has while the publisher cannot be reached, but not for ever', async () => {
    const trust = source({ maxStaleMs: 3_600_000 })
    await kids(trust)
    answer = serving('', 500)
    clock.advance(3_600_000)
    expect(await kids(trust)).toEqual([kidOf('hop1')])
    expect(logger.records.at(-1)).toMatchObject({ level: 'warn', details: { principal: HOP1 } })
    clock.advance(1)
    const error = await failure(kids(trust))
    expect(error.code).toBe('ERR_KEST_KEYS_UNAVAILABLE')
    expect(error.cause).toBeDefined()
    answer = serving(jwksOf(mock('hop1')))
    clock.advance(60_000)
    expect(await kids(trust)).toEqual([kidOf('hop1')])
  })

  it('lets nobody wait while it tries again after that failed, but who asks for a key that it lacks', async () => {
    const trust = source({ timeoutMs: 60_000 })
    await kids(trust)
    answer = serving('', 500)
    clock.advance(700_000)
    await kids(trust)
    const again = new Promise<() => void>((resolve) => {
      answer = (request, response) => resolve(() => serving(jwksOf(mock('other')))(request, response))
    })
    clock.advance(60_000)
    expect(await kids(trust)).toEqual([kidOf('hop1')])
    const other = kids(trust, kidOf('other'))
    const answerIt = await again
    answerIt()
    expect(await other).toEqual([kidOf('other')])
    expect(requests).toHaveLength(3)
  })

  it('K-CACHE takes no key for younger because the clock was set back', async () => {
    const trust = source()
    expect(await kids(trust)).toEqual([kidOf('hop1')])
    answer = serving(jwksOf(mock('other')))
    clock.advance(-6 * 3_600_000)
    await kids(trust)
    clock.advance(600_001)
    expect(await kids(trust)).toEqual([kidOf('other')])
    answer = serving('', 500)
    clock.advance(-6 * 3_600_000)
    await kids(trust)
    clock.advance(86_400_001)
    expect((await failure(kids(trust))).code).toBe('ERR_KEST_KEYS_UNAVAILABLE')
  })

  it('says that it cannot say, and does not ask again at once', async () => {
    answer = serving('', 404)
    const trust = source()
    expect((await failure(kids(trust))).code).toBe('ERR_KEST_KEYS_UNAVAILABLE')
    expect((await failure(kids(trust))).code).toBe('ERR_KEST_KEYS_UNAVAILABLE')
    expect(requests).toHaveLength(1)
    answer = serving(jwksOf(mock('hop1')))
    clock.advance(2_000)
    expect(await kids(trust)).toEqual([kidOf('hop1')])
  })

  it.each<[string, RequestListener]>([
    ['another status', serving(jwksOf(mock('hop1')), 203)],
    ['no JSON', serving('{')],
    ['no JWK Set', serving({ jwks: [] })],
    ['null', serving(null)],
    ['keys that are no list', serving({ keys: {} })],
    ['no key', serving({ keys: [] })],
    ['no key that is usable', serving({ keys: [{ kty: 'oct', k: 'AA' }, null, 5] })],
    ['too many bytes', serving(JSON.stringify(jwksOf(mock('hop1'))) + ' '.repeat(65_536))],
    ['bytes that are not UTF-8', (_, response) => response.end(Buffer.from([0x7b, 0xff, 0x7d]))],
    ['a body that never ends', (_, response) => void response.writeHead(200).write('{')],
    [
      'bytes that never end',
      (_, response) => {
        response.writeHead(200)
        const more = (): void => void response.write(' '.repeat(65_536), (error) => error ?? more())
        more()
      },
    ],
    ['nothing', () => {}],
    ['a closed connection', (request) => request.socket.destroy()],
  ])('K-LIMIT takes no keys from an answer that is %s', async (_, listener) => {
    answer = listener
    const trust = source({ timeoutMs: 200 })
    expect((await failure(kids(trust))).code).toBe('ERR_KEST_KEYS_UNAVAILABLE')
  })

  it('K-PRINCIPAL follows no redirect', async () => {
    answer = (request, response) => {
      if (request.url === '/elsewhere') serving(jwksOf(mock('hop1')))(request, response)
      else response.writeHead(302, { location: '/elsewhere' }).end()
    }
    expect((await failure(kids(source()))).code).toBe('ERR_KEST_KEYS_UNAVAILABLE')
    expect(requests).toEqual(['/jwks.json'])
  })

  it('passes over keys of kinds that it does not know, and private ones, and says so', async () => {
    const secret = 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlYw'
    answer = serving({
      keys: [{ kty: 'XYZ' }, { ...mock('a').getPublicJwk(), d: secret }, mock('hop1').getPublicJwk()],
    })
    expect(await kids(source())).toEqual([kidOf('hop1')])
    expect(logger.records.map(({ message }) => message)).toEqual(['a key is not used', 'a key is not used'])
    expect(JSON.stringify(logger.records)).not.toContain(secret)
  })

  it('K-LIMIT takes eight keys at most, and says so', async () => {
    answer = serving(jwksOf(...Array.from({ length: 12 }, (_, i) => mock(`k${i}`))))
    expect(await kids(source())).toHaveLength(8)
    expect(logger.records.at(-1)).toMatchObject({ details: { count: 12, used: 8 } })
  })

  it.each([
    'http://example.org/jwks.json',
    'http://10.0.0.1/jwks.json',
    'http://127.0.0.1.example.org/jwks.json',
    'https://user:secret@example.org/jwks.json',
    'file:///etc/passwd',
    'data:application/json,{}',
    'example.org/jwks.json',
    '',
  ])('K-PRINCIPAL refuses %s', async (url) => {
    const error = await failure(() => createRemoteKeySource({ a: url }))
    expect(error.code).toBe('ERR_KEST_CONFIG')
    expect(error.message).not.toContain('secret')
  })

  it('allows https anywhere, and http here', () => {
    for (const url of [
      'https://example.org/x',
      'http://localhost:1/x',
      'http://[::1]:1/x',
      new URL('http://127.1:1/x'),
    ]) {
      expect(createRemoteKeySource({ a: url }).kind).toBe('keys')
      expect(createRemoteKeySource(new Map([['a', url]])).kind).toBe('keys')
    }
  })

  it.each(['maxAgeMs', 'maxStaleMs', 'minRefreshMs', 'retryMs', 'timeoutMs', 'maxBytes'])(
    'refuses a %s of 0',
    async (name) => {
      expect((await failure(() => createRemoteKeySource({}, { [name]: 0 }))).code).toBe('ERR_KEST_CONFIG')
    },
  )

  it.each<[RemoteKeyOptions, RegExp]>([
    [{ maxAgeMs: 60_000, maxStaleMs: 1_000 }, /maxAgeMs \(60000\) is longer than maxStaleMs \(1000\)/],
    [{ minRefreshMs: 700_000 }, /minRefreshMs \(700000\) is longer than maxAgeMs \(600000\)/],
    [{ maxAge: 1 } as RemoteKeyOptions, /unknown option "maxAge"; there are: .*maxAgeMs/],
    [{ fetch: 'undici' as never }, /fetch: expected a function/],
  ])('refuses options that are unknown or contradict each other: %j', (options, message) => {
    expect(() => createRemoteKeySource({}, options)).toThrow(message)
  })

  it('lets what is not said follow what is', async () => {
    const trust = source({ maxAgeMs: 1_000 })
    await kids(trust)
    clock.advance(1_001)
    await kids(trust)
    expect(requests).toHaveLength(2)
    expect(() => source({ maxAgeMs: 100_000_000 })).not.toThrow()
  })
})
