import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { failure } from '../../tests/support/signed.js'
import { answering, startServer, VouchingIssuer } from '../../tests/support/vouching-issuer.js'
import { createKest } from '../config/kest.js'
import { parseEntry } from '../entry/parse.js'
import { KestError } from '../errors.js'
import { jwksOf } from '../identity/jwks.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { FakeClock } from '../testing/fake-clock.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { keyAudience } from './key-audience.js'
import { OIDCIdentity, type OIDCIdentityOptions } from './oidc-identity.js'
import type { OIDCToken } from './token-source.js'

const patient = { timeout: 30_000, interval: 5 }

let clock: FakeClock
let logger: RecordingLogger
let issuer: VouchingIssuer
let folder: string

beforeEach(async () => {
  clock = new FakeClock(Date.UTC(2030, 0, 1))
  logger = new RecordingLogger()
  issuer = await VouchingIssuer.start(clock)
  folder = mkdtempSync(join(tmpdir(), 'kest-oidc-'))
})

afterEach(async () => {
  rmSync(folder, { recursive: true })
  await issuer.close()
})

async function create(options: OIDCIdentityOptions): Promise<OIDCIdentity> {
  const identity = await OIDCIdentity.create({ clock, logger, ...options })
  onTestFinished(() => identity.close())
  return identity
}

/** At once, as platforms do: whoever reads sees one or the other. */
function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

const asking: OIDCIdentityOptions = { token: (audience) => issuer.token(audience) }

describe('OIDCIdentity', () => {
  it('K-OIDCID is <iss>#<sub>, and publishes its key with the token that vouches for it', async () => {
    let given = ''
    const identity = await create({
      token: async (audience) => {
        given = await issuer.token(audience)
        return given
      },
    })
    expect(identity.getWorkloadId()).toBe(`${issuer.url}#orders`)
    const [jwk] = jwksOf(identity).keys
    expect(jwk).toMatchObject({ kty: 'OKP', crv: 'Ed25519', kid: (await identity.current()).header.kid })
    expect(jwk).not.toHaveProperty('d')
    expect(jwk?.vouched_by).toEqual([given])
    expect(identity.current()).toBe(identity.current())
  })

  it('K-OIDCID has issuer and subject in the labels of each entry', async () => {
    const identity = await create(asking)
    const kest = createKest({ identity, engine: new MockPolicyEngine(), clock, logger })
    const { passport } = await kest.begin({ operation: 'read', policy: 'read', origin: 'system' })
    const { entry } = parseEntry(passport.entries[0], { limits: DEFAULT_LIMITS })
    expect(entry.labels).toMatchObject({
      principal: `${issuer.url}#orders`,
      'kest.iss': issuer.url,
      'kest.sub': 'orders',
    })
  })

  it('K-OIDCID makes another key in each process, and none that is written anywhere', async () => {
    const [one, another] = [await create(asking), await create(asking)]
    expect(one.getPublicJwk().kid).not.toBe(another.getPublicJwk().kid)
    expect(JSON.stringify(one)).toBe('{}')
  })

  it('K-OIDCID reads the token of a key that was mounted from a file, or a variable', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const token = await issuer.token(keyAudience(privateKey))
    const file = join(folder, 'token')
    replace(file, `${token}\n`)
    vi.stubEnv('KEST_TEST_OIDC_TOKEN', token)
    vi.stubEnv('KEST_OIDC_TOKEN_PATH', file)
    onTestFinished(() => {
      vi.unstubAllEnvs()
    })
    for (const options of [{ token: { file } }, { token: { env: 'KEST_TEST_OIDC_TOKEN' } }, {}]) {
      const identity = await create({ privateKey, ...options })
      expect(identity.getPublicJwk().vouched_by).toEqual([token])
      expect((await identity.current()).header.alg).toBe('ES256')
    }
  })

  it('K-OIDCID takes a token that is bound to the key by cnf.jkt', async () => {
    const identity = await create({
      token: (audience) => issuer.token('urn:any', { cnf: { jkt: audience.slice('urn:kest:key:'.length) } }),
    })
    expect(identity.getPublicJwk().vouched_by).toHaveLength(1)
  })

  const another = `urn:kest:key:${'A'.repeat(43)}`
  it.each<[string, (audience: string) => [aud: unknown, changes?: Record<string, unknown>], string]>([
    ['a bearer token for a service', () => ['https://vault.example.org'], 'no key is signed into it'],
    ['a token without audience', () => [undefined], 'no key is signed into it'],
    ['a token for another key', () => [another], 'it is for the key'],
    ['a token that others take, too', (aud) => [[aud, 'vault']], 'one of several audiences'],
    ['a token for two keys', (aud) => [[aud, another]], 'one of several audiences'],
    [
      'a token whose cnf is another key',
      (aud) => [aud, { cnf: { jkt: 'A'.repeat(43) } }],
      'it is for the key',
    ],
    ['a token whose cnf is no key', (aud) => [aud, { cnf: { jkt: 1 } }], 'names no key'],
    ['a token that does not say from when', (aud) => [aud, { iat: undefined }], 'from when it holds'],
    ['a token without end', (aud) => [aud, { exp: undefined }], 'until when it holds'],
    ['a token that ends in no time', (aud) => [aud, { exp: 1e300 }], 'until when it holds'],
    ['a token that has expired', (aud) => [aud, { iat: 1, exp: 2 }], 'it ended at 1970'],
    [
      'a token that ends before it begins',
      (aud) => [aud, { nbf: 4e9, exp: 3e9 }],
      'it ends before it begins',
    ],
    ['a token without subject', (aud) => [aud, { sub: undefined }], '"sub"'],
    ['a token of a subject that is no name', (aud) => [aud, { sub: 'a b' }], '"sub"'],
    ['a token of an issuer with a fragment', (aud) => [aud, { iss: 'https://a.b#c' }], '"iss"'],
  ])('K-OIDCID refuses %s at the start, says why and what to do', async (_, claims, why) => {
    let token = ''
    let asked = ''
    const error = await failure(() =>
      create({
        token: async (audience) => {
          asked = audience
          token = await issuer.token(...claims(audience))
          return token
        },
      }),
    )
    expect(error.code).toBe('ERR_KEST_IDENTITY')
    expect(error.message).toContain(why)
    expect(error.message).toContain(`sole audience is ${asked}`)
    for (const platform of ['Kubernetes', 'GitHub Actions', 'GCP']) expect(error.message).toContain(platform)
    expect(`${error.stack} ${(error.cause as Error).stack}`).not.toContain(token)
  })

  it.each<[string, OIDCIdentityOptions['token']]>([
    ['what is no token', async () => 'secret-but-no-token'],
    ['nothing', async () => ' '],
    ['too much', async () => 'secret'.repeat(10_000)],
    ['a file that is not there', { file: '/nonexistent/token' }],
    ['a variable that is not set', { env: 'KEST_TEST_NOT_SET' }],
  ])('K-OIDCID refuses %s at the start', async (_, token) => {
    const error = await failure(() => create({ token: token as never }))
    expect(error.code).toBe('ERR_KEST_IDENTITY')
    expect(`${error.stack}`).not.toContain('secret')
  })

  it('K-OIDCID waits for a token that is asked for no longer than it was told', async () => {
    let aborted: AbortSignal | undefined
    const token = (_: string, { signal }: { signal: AbortSignal }): Promise<string> => {
      aborted = signal
      return new Promise(() => {})
    }
    const error = await failure(() => create({ token, timeoutMs: 20 }))
    expect(error.message).toContain('no token within 20 ms')
    await vi.waitFor(() => expect(aborted?.aborted).toBe(true), patient)
  })

  it('K-OIDCID follows a file: the new token is published beside the one before, until that ends', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const file = join(folder, 'token')
    const first = await issuer.token(keyAudience(privateKey))
    replace(file, first)
    const identity = await create({ privateKey, token: { file }, pollMs: 5 })
    const signer = identity.current()
    clock.advance(300_000)
    const second = await issuer.token(keyAudience(privateKey))
    replace(file, second)
    await vi.waitFor(() => expect(identity.getPublicJwk().vouched_by).toEqual([first, second]), patient)
    clock.advance(300_000)
    expect(identity.getPublicJwk().vouched_by).toEqual([second])
    expect(identity.current()).toBe(signer)
    identity.close()
    identity.close()
  })

  const SECOND = 1000
  const MINUTE = 60 * SECOND

  /** Timers go by the clock of the test from here on. */
  function timersStandStill(): (milliseconds: number) => Promise<unknown> {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => {
      vi.useRealTimers()
    })
    return (milliseconds) => {
      clock.advance(milliseconds)
      return vi.advanceTimersByTimeAsync(milliseconds)
    }
  }

  /** Tokens that were issued beforehand, each `minutes` long, so that nothing is waited for when one is asked for. */
  async function issuedTokens(privateKey: KeyObject, ...times: readonly [from: number, until: number][]) {
    const begin = clock.now() / SECOND
    const audience = keyAudience(privateKey)
    const issue = ([from, until]: [number, number], i: number): Promise<string> =>
      issuer.token(audience, { nbf: begin + from * 60, exp: begin + until * 60, jti: String(i) })
    return Promise.all(times.map(issue))
  }

  /** Gives one after the other, then fails. */
  function giving(tokens: readonly string[], asked: string[] = []): OIDCToken {
    return async (audience) => {
      const token = tokens[asked.push(audience) - 1]
      if (token === undefined) throw new Error('there are no more')
      return token
    }
  }

  it('K-OIDCID publishes a token that is not in force yet only when it is, and goes on with the one before', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const later: [number, number] = [20, 40]
    const tokens = await issuedTokens(privateKey, [0, 30], later, later, later, later, later, later)
    const pass = timersStandStill()
    const asked: string[] = []
    const identity = await create({ privateKey, token: giving(tokens, asked) })
    await pass(15 * MINUTE)
    // As many as are held, and more: each is asked for when half of the life of the one before is over.
    for (let i = 0; i < 5; i++) await vi.advanceTimersByTimeAsync(10 * MINUTE)
    expect(asked).toHaveLength(7)
    expect(identity.getPublicJwk().vouched_by).toEqual([tokens[0]])
    await pass(5 * MINUTE)
    expect(identity.getPublicJwk().vouched_by).toContain(tokens[0])
    expect(identity.getPublicJwk().vouched_by).toHaveLength(4)
    clock.advance(10 * MINUTE)
    expect(identity.getPublicJwk().vouched_by).toEqual(tokens.slice(4))
  })

  it('K-OIDCID signs as soon as its first token is in force where the clock is behind the issuer, however often it is to sign before', async () => {
    const issue = clock.now() + 30 * SECOND
    let asked = 0
    const identity = await create({
      token: (audience) => {
        const iat = issue / 1000 + asked++
        return issuer.token(audience, { iat, exp: iat + 600 })
      },
    })
    for (let i = 0; i < 29; i++) {
      clock.advance(SECOND)
      await expect(failure(async () => identity.current())).resolves.toMatchObject({
        code: 'ERR_KEST_IDENTITY',
      })
    }
    expect(asked).toBe(30)
    clock.advance(SECOND)
    expect(await identity.current()).toMatchObject({ workloadId: `${issuer.url}#orders` })
  })

  it('K-OIDCID asks for another token when half of the life of the one it has is over', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const tokens = await issuedTokens(privateKey, [0, 10], [5, 15], [10, 20])
    const pass = timersStandStill()
    const asked: string[] = []
    const identity = await create({ privateKey, token: giving(tokens, asked), pollMs: SECOND })
    await pass(5 * MINUTE - 1)
    expect(asked).toEqual([keyAudience(privateKey)])
    await pass(1)
    expect(identity.getPublicJwk().vouched_by).toEqual(tokens.slice(0, 2))
    await pass(5 * MINUTE)
    expect(identity.getPublicJwk().vouched_by).toEqual(tokens.slice(1, 3))
    await pass(5 * MINUTE)
    expect(logger.records).toMatchObject([{ level: 'warn', details: { err: 'there are no more' } }])
    expect(asked).toHaveLength(4)
    await pass(SECOND)
    expect(asked).toHaveLength(5)
    identity.close()
    await pass(MINUTE)
    expect(asked).toHaveLength(5)
    expect(new Set(asked)).toEqual(new Set([keyAudience(privateKey)]))
  })

  it('K-OIDCID asks for another token within half of its life, although the clock was set back', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const tokens = await issuedTokens(privateKey, [0, 10], [5, 15], [10, 20])
    const pass = timersStandStill()
    const asked: string[] = []
    const identity = await create({ privateKey, token: giving(tokens, asked) })
    clock.advance(-24 * 60 * MINUTE)
    expect(() => identity.current()).toThrow('is in force from')
    await pass(5 * MINUTE)
    expect(asked).toHaveLength(2)
    await pass(5 * MINUTE)
    expect(asked).toHaveLength(3)
    clock.advance(24 * 60 * MINUTE)
    expect(identity.getPublicJwk().vouched_by).toEqual(tokens.slice(1, 3))
  })

  it('K-OIDCID asks at once when a process signs that was suspended: once for all who wait', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const tokens = await issuedTokens(privateKey, [0, 10], [60, 70])
    const pass = timersStandStill()
    const asked: string[] = []
    const identity = await create({ privateKey, token: giving(tokens, asked) })
    const before = identity.current()
    clock.advance(60 * MINUTE)
    const signers = await Promise.all(Array.from({ length: 100 }, () => identity.current()))
    expect(new Set(signers)).toEqual(new Set([before]))
    expect(asked).toHaveLength(2)
    clock.advance(60 * MINUTE)
    const inVain = await Promise.all(
      Array.from({ length: 100 }, () => failure(async () => identity.current())),
    )
    for (const error of inVain)
      expect(error).toMatchObject({ code: 'ERR_KEST_IDENTITY', cause: { message: 'there are no more' } })
    expect(asked).toHaveLength(3)
    expect(() => identity.current()).toThrow(KestError)
    clock.advance(SECOND)
    expect((await failure(async () => identity.current())).code).toBe('ERR_KEST_IDENTITY')
    expect(asked).toHaveLength(4)
    identity.close()
    await pass(60 * MINUTE)
    expect(() => identity.current()).toThrow(KestError)
    expect(asked).toHaveLength(4)
  })

  it('K-OIDCID does not use a token that was read while it was being written', async () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const file = join(folder, 'token')
    const whole = await issuer.token(keyAudience(privateKey))
    for (let length = 0; length < whole.length; length++) {
      if (length > 0 && length < whole.length - 100 && length % 50 !== 0) continue
      writeFileSync(file, whole.slice(0, length))
      const error = await failure(() => create({ privateKey, token: { file } }))
      expect(error.code).toBe('ERR_KEST_IDENTITY')
    }
    writeFileSync(file, whole)
    expect((await create({ privateKey, token: { file } })).getPublicJwk().vouched_by).toEqual([whole])
  })

  it('K-OIDCID refuses a token that nobody can verify by a public key', async () => {
    const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
    for (const [alg, signature] of [
      ['none', ''],
      ['HS256', 'A'.repeat(43)],
      ['RS256', 'A'.repeat(171)],
      ['ES512', 'A'.repeat(86)],
    ]) {
      const token = async (audience: string): Promise<string> => {
        const [, payload] = (await issuer.token(audience)).split('.')
        return `${encoded({ alg })}.${payload}.${signature}`
      }
      expect((await failure(() => create({ token }))).message).toMatch(/verify that by a public key|cut off/)
    }
  })

  it('K-OIDCID has a sidecar ask for the token of a key that the process made', async () => {
    const [file, audienceFile] = [join(folder, 'token'), join(folder, 'audience')]
    // What the process before has left.
    replace(file, await issuer.token(another))
    writeFileSync(`${audienceFile}.new`, 'unfinished')
    const created = create({ token: { file, audienceFile }, pollMs: 5, timeoutMs: 60_000 })
    const audience = await vi.waitFor(() => readFileSync(audienceFile, 'utf8').trim(), patient)
    const first = await issuer.token(audience)
    replace(file, first)
    const identity = await created
    expect(audience).toBe(keyAudience(identity.getPublicJwk()))
    expect(identity.getPublicJwk().vouched_by).toEqual([first])
    const second = await issuer.token(audience)
    replace(file, second)
    await vi.waitFor(() => expect(identity.getPublicJwk().vouched_by).toEqual([first, second]), patient)
  })

  it('K-OIDCID waits for a sidecar no longer than it was told, and says what the sidecar wrote', async () => {
    const [file, audienceFile] = [join(folder, 'token'), join(folder, 'audience')]
    replace(file, await issuer.token(another))
    const error = await failure(() => create({ token: { file, audienceFile }, pollMs: 5, timeoutMs: 20 }))
    expect(error).toMatchObject({
      code: 'ERR_KEST_IDENTITY',
      message: expect.stringContaining('it is for the key'),
    })
    vi.stubEnv('KEST_OIDC_TOKEN_PATH', file)
    vi.stubEnv('KEST_OIDC_AUDIENCE_PATH', join(folder, 'nonexistent', 'audience'))
    onTestFinished(() => {
      vi.unstubAllEnvs()
    })
    const unwritten = await failure(() => create({ pollMs: 5, timeoutMs: 20 }))
    expect(unwritten.message).toContain('nonexistent')
    vi.stubEnv('KEST_OIDC_TOKEN_PATH', '')
    expect((await failure(() => create({}))).code).toBe('ERR_KEST_CONFIG')
  })

  it('K-OIDCID asks GitHub Actions in a job that may have tokens', async () => {
    const asked: unknown[] = []
    const github = await startServer((request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://github.test')
      asked.push([searchParams.get('api-version'), request.headers.authorization])
      void issuer
        .token(searchParams.get('audience'))
        .then((value) => answering({ count: 1, value })(request, response))
    })
    onTestFinished(() => github.close())
    vi.stubEnv('KEST_OIDC_TOKEN_PATH', '')
    vi.stubEnv('ACTIONS_ID_TOKEN_REQUEST_URL', `${github.origin}/token?api-version=2.0`)
    vi.stubEnv('ACTIONS_ID_TOKEN_REQUEST_TOKEN', 'a-secret')
    onTestFinished(() => {
      vi.unstubAllEnvs()
    })
    const identity = await create({})
    expect(identity.getPublicJwk().vouched_by).toHaveLength(1)
    expect(asked).toEqual([['2.0', 'Bearer a-secret']])
    for (const answer of [answering({}, 500), answering({}), answering(null), answering({ value: 1 })]) {
      github.answer = answer
      const error = await failure(() => create({}))
      expect(error.code).toBe('ERR_KEST_IDENTITY')
      expect(`${error.stack} ${(error.cause as Error).stack}`).not.toContain('a-secret')
    }
    vi.stubEnv('ACTIONS_ID_TOKEN_REQUEST_URL', 'http://github.example.org/token')
    expect((await failure(() => create({}))).code).toBe('ERR_KEST_CONFIG')
  })

  it.each<[string, string, (aud: string) => [aud: unknown, changes?: Record<string, unknown>]]>([
    ['of another subject', 'another principal', (aud) => [aud, { sub: 'payments' }]],
    ['for another key', 'it is for the key', () => [another]],
    ['for a service', 'no key is signed into it', () => ['vault']],
    ['that has expired', 'it ended at', (aud) => [aud, { iat: 1, exp: 2 }]],
  ])(
    'K-OIDCID does not use a later token %s: the one before goes on until it ends',
    async (_, why, claims) => {
      const { privateKey } = generateKeyPairSync('ed25519')
      const file = join(folder, 'token')
      const first = await issuer.token(keyAudience(privateKey))
      replace(file, first)
      const identity = await create({ privateKey, token: { file }, pollMs: 5 })
      const [aud, changes] = claims(keyAudience(privateKey))
      const wrong = await issuer.token(aud, { exp: clock.now() / SECOND + 3600, ...changes })
      replace(file, wrong)
      await vi.waitFor(() => expect(JSON.stringify(logger.records)).toContain(why), patient)
      expect(JSON.stringify(logger.records)).not.toContain(wrong)
      expect(identity.getPublicJwk().vouched_by).toEqual([first])
      clock.advance(600_000)
      expect(await failure(async () => identity.current())).toBeInstanceOf(KestError)
      const error = await failure(async () => identity.getPublicJwk())
      expect(error).toMatchObject({
        code: 'ERR_KEST_IDENTITY',
        cause: { message: expect.stringContaining(why) },
      })
    },
  )

  it('K-OIDCID signs nothing while no token is in force', async () => {
    const from = clock.now() / 1000 + 60
    let only: Promise<string> | undefined
    const token = (audience: string): Promise<string> => {
      only ??= issuer.token(audience, { nbf: from })
      return only
    }
    const identity = await create({ token })
    const kest = createKest({ identity, engine: new MockPolicyEngine(), clock, logger })
    const begin = () => kest.begin({ operation: 'read', policy: 'read', origin: 'system' })
    expect(await failure(begin)).toMatchObject({
      code: 'ERR_KEST_IDENTITY',
      message: expect.stringContaining('in force from'),
    })
    clock.advance(60_000)
    expect((await begin()).passport.entries).toHaveLength(1)
    clock.advance(540_000)
    expect(await failure(begin)).toMatchObject({
      code: 'ERR_KEST_IDENTITY',
      message: expect.stringContaining('ended at'),
    })
  })

  it.each<[string, unknown, string]>([
    ['no token at all', {}, 'neither KEST_OIDC_TOKEN_PATH is set'],
    ['a token as text', { token: 'eyJ' }, 'expected an object'],
    ['two places', { token: { file: 'a', env: 'b' } }, 'expected { file'],
    ['an audience for a variable', { token: { env: 'a', audienceFile: 'b' } }, 'expected { file'],
    ['a place that is no path', { token: { file: 'a', audienceFile: 1 } }, 'expected { file'],
    ['an unknown place', { token: { path: 'a' } }, 'unknown option "path"'],
    ['an unknown option', { ...asking, poll: 1 }, 'unknown option "poll"'],
    ['no time', { ...asking, pollMs: 0 }, 'pollMs'],
    ['too long a time', { ...asking, timeoutMs: 2 ** 31 }, 'timeoutMs'],
    ['a key that is none', { ...asking, privateKey: { kty: 'OKP' } }, 'cannot be read'],
  ])('refuses %s in its options', async (_, options, message) => {
    const error = await failure(() => OIDCIdentity.create(options as OIDCIdentityOptions))
    expect(error).toMatchObject({ code: 'ERR_KEST_CONFIG', message: expect.stringContaining(message) })
  })

  it('names the audience of private and public keys alike, and of no other', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const audience = keyAudience(publicKey)
    expect(audience).toMatch(/^urn:kest:key:[A-Za-z0-9_-]{43}$/)
    expect(keyAudience(privateKey)).toBe(audience)
    expect(keyAudience(privateKey.export({ format: 'jwk' }))).toBe(audience)
    expect(() => keyAudience({ kty: 'oct', k: 'c2VjcmV0' })).toThrow('expected a private or public key')
  })
})
