import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { deflateSync } from 'node:zlib'
import { createKeySource, MemoryCache } from '@kest/core'
import { buildPassport, FakeClock, MockIdentityProvider, MockPolicyEngine } from '@kest/core/testing'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { kestExpress, protect } from '../src/index.js'
import { CALLER, createService } from './support/kest.js'
import { MAJORS } from './support/majors.js'
import { type RawAnswer, raw, serve } from './support/server.js'

const encode = encodeURIComponent

/** Headers that a peer could send, by what is wrong with them. Tips and strings of a passport that holds. */
function cases(strings: readonly string[], tip: string): [string, number, string, string[]][] {
  const json = JSON.stringify(strings)
  const tipMember = `kest.chain_tip=${tip}`
  const good = `baggage: kest.passport=${encode(json)},${tipMember}`
  const [last = ''] = strings.slice(-1)
  const z = (text: string | Buffer) => deflateSync(text).toString('base64url')
  const member = (text: string) => [`baggage: ${text},${tipMember}`]
  return [
    ['K-ROOT none', 403, 'ERR_KEST_LINEAGE_MISSING', []],
    ['K-ROOT an empty passport', 403, 'ERR_KEST_LINEAGE_MISSING', ['baggage: kest.passport=%5B%5D']],
    [
      'K-ONE two different passports in two headers',
      400,
      'ERR_KEST_BAGGAGE',
      [good, 'baggage: kest.passport=%5B%5D'],
    ],
    [
      'K-ONE two different tips in one header',
      400,
      'ERR_KEST_BAGGAGE',
      [`${good},kest.chain_tip=${'0'.repeat(64)}`],
    ],
    ['K-ONE a key in other case', 400, 'ERR_KEST_BAGGAGE', member(`Kest.passport=${encode(json)}`)],
    ['K-ONE a key in percent escapes', 400, 'ERR_KEST_BAGGAGE', member(`kest%2Epassport=${encode(json)}`)],
    ['a bad percent escape', 400, 'ERR_KEST_BAGGAGE', member('kest.passport=%ZZ')],
    [
      'a value that is cut off',
      400,
      'ERR_KEST_PASSPORT_MALFORMED',
      member(`kest.passport=${encode(json.slice(0, -9))}`),
    ],
    ['something else than a list', 400, 'ERR_KEST_PASSPORT_MALFORMED', member('kest.passport=%7B%7D')],
    ['a list of something else', 400, 'ERR_KEST_PASSPORT_MALFORMED', member('kest.passport=%5B1%5D')],
    ['what is not compressed', 400, 'ERR_KEST_BAGGAGE', member('kest.passport_z=AAAA')],
    ['K-LIMIT a bomb', 400, 'ERR_KEST_LIMIT', member(`kest.passport_z=${z(Buffer.alloc(8_000_000, 0x20))}`)],
    [
      'K-LIMIT more than is ever read',
      400,
      'ERR_KEST_LIMIT',
      [`baggage: kest.passport=${'%20'.repeat(30_000)}`],
    ],
    [
      'K-LIMIT too many entries',
      400,
      'ERR_KEST_LIMIT',
      member(`kest.passport_z=${z(JSON.stringify(Array(300).fill(last)))}`),
    ],
    ['K-TIP a tip without its passport', 403, 'ERR_KEST_TIP', [`baggage: ${tipMember}`]],
    [
      'K-TIP a passport whose tip was cut off',
      403,
      'ERR_KEST_TIP',
      member(`kest.passport=${encode(JSON.stringify(strings.slice(0, -1)))}`),
    ],
    [
      'K-ONCE an entry twice',
      403,
      'ERR_KEST_DUPLICATE',
      member(`kest.passport=${encode(JSON.stringify([...strings, last]))}`),
    ],
    [
      'an entry without its parent',
      403,
      'ERR_KEST_PARENT_UNKNOWN',
      member(`kest.passport=${encode(JSON.stringify([last]))}`),
    ],
    [
      'TC-03 a signature that was altered',
      403,
      'ERR_KEST_SIGNATURE',
      [`baggage: kest.passport=${encode(JSON.stringify([...strings.slice(0, -1), otherSignature(last)]))}`],
    ],
    [
      'K-CLAIM a claim check that names nothing',
      403,
      'ERR_KEST_CLAIM_UNKNOWN',
      member(`kest.claim_check=${randomUUID()}`),
    ],
    ['K-IDENT a user that nobody signed', 403, 'ERR_KEST_IDENTITY_CONFLICT', [`${good},kest.user=mallory`]],
  ]
}

/** Another point, spelled as strictly. */
function otherSignature(jws: string): string {
  const [header, payload, signature = ''] = jws.split('.')
  return [header, payload, (signature.startsWith('A') ? 'B' : 'A') + signature.slice(1)].join('.')
}

describe.each(MAJORS)('bad input on Express $major', ({ express }) => {
  let strings: readonly string[]
  let tip: string
  let trust: Awaited<ReturnType<typeof buildPassport>>['trust']
  let good: string

  beforeAll(async () => {
    const built = await buildPassport([{ by: 'a', origin: 'user_input', user: 'alice' }, { by: 'b' }])
    trust = built.trust
    good = built.headers.baggage
    const members = new Map(good.split(',').map((member) => member.split('=') as [string, string]))
    strings = JSON.parse(decodeURIComponent(members.get('kest.passport') ?? '')) as string[]
    tip = members.get('kest.chain_tip') ?? ''
  })

  async function send(lines: string[], options: Parameters<typeof createService>[0] = {}) {
    const handler = vi.fn((_req, res) => res.end('ran'))
    const { kest, engine } = createService({ trust, cache: new MemoryCache(), ...options })
    const app = express()
    app.use(kestExpress({ kest }))
    app.get('/x', protect({ policy: 'p' }), handler)
    const server = createServer({ maxHeaderSize: 1_000_000 }, app)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const answer = await raw((server.address() as AddressInfo).port, ['GET /x HTTP/1.1', ...lines])
    return { answer, handler, engine }
  }

  const codeOf = ({ status, body }: RawAnswer) => [status, (JSON.parse(body) as { code: string }).code]

  it('the passport that the others are made of is good, also when its header is doubled', async () => {
    for (const lines of [[`baggage: ${good}`], [`baggage: ${good}`, `Baggage: a=b,${good}`]]) {
      const { answer, handler } = await send(lines)
      expect([answer.status, answer.body]).toEqual([200, 'ran'])
      expect(handler).toHaveBeenCalledTimes(1)
    }
  })

  it.each(cases([], '').map(([what], index) => [what, index] as const))(
    'refuses %s, and asks no policy and runs no handler',
    async (_what, index) => {
      const [, status, code, lines] = cases(strings, tip)[index]!
      const { answer, handler, engine } = await send(lines)
      expect(codeOf(answer)).toEqual([status, code])
      expect(answer.head).toContain('application/problem+json')
      expect(handler).not.toHaveBeenCalled()
      expect(engine.requests).toEqual([])
    },
  )

  it('K-BIND refuses lineage of a principal whose key is not known', async () => {
    const { answer } = await send([`baggage: ${good}`], {
      trust: createKeySource({ [CALLER]: [new MockIdentityProvider(CALLER).getPublicJwk()] }),
    })
    expect(codeOf(answer)).toEqual([403, 'ERR_KEST_KEY_UNKNOWN'])
  })

  it('K-FRESH refuses lineage that is too old', async () => {
    const clock = new FakeClock()
    clock.advance(3_700_000)
    const { answer } = await send([`baggage: ${good}`], { clock })
    expect(codeOf(answer)).toEqual([403, 'ERR_KEST_FRESHNESS'])
  })

  it('F-IC-05 takes a bearer token; refuses one that is missing, doubled or no token with 401 and a challenge', async () => {
    const issuer = new MockIdentityProvider('issuer')
    const { kest } = createService({ engine: new MockPolicyEngine() })
    const app = express()
    const token = {
      required: true,
      jwks: issuer.getPublicJwk(),
      issuer: 'https://issuer.test',
      audience: 'me',
    } as const
    const handler = vi.fn((req, res) => res.end(req.kest.user))
    app.use(kestExpress({ kest, origin: 'user_input', token: token as never }))
    app.get('/x', protect({ policy: 'p' }), handler)
    const { port } = await serve(app)
    const get = (...lines: string[]) => raw(port, ['GET /x HTTP/1.1', ...lines])
    const good = await bearer(issuer, { iss: token.issuer, aud: token.audience, sub: 'alice' })

    expect((await get(good)).body).toContain('alice')
    for (const lines of [[], ['authorization: Bearer nonsense'], [good, 'authorization: Bearer d.e.f']]) {
      const answer = await get(...lines)
      expect(codeOf(answer)).toEqual([401, 'ERR_KEST_TOKEN'])
      expect(answer.head).toMatch(/^www-authenticate: Bearer/im)
    }
    expect(handler).toHaveBeenCalledTimes(1)
  })
})

describe.each(MAJORS)('a token that is bound to a key on Express $major', ({ express }) => {
  it('F-IC-05 is taken with a proof for the URL that was called, wherever the middleware is mounted', async () => {
    const [issuer, client] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')]
    const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url')
    const signed = (header: object, claims: object, key: KeyObject) => {
      const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const input = `${part({ alg: 'EdDSA', ...header })}.${part(claims)}`
      return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`
    }
    const now = Math.floor(Date.now() / 1000)
    const { x } = client.publicKey.export({ format: 'jwk' })
    const jkt = sha256(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`)
    const claims = { iss: 'https://issuer.test', aud: 'me', sub: 'alice', exp: now + 3600, cnf: { jkt } }
    const jwt = signed({}, claims, issuer.privateKey)
    const prove = (path: string) => {
      const header = { typ: 'dpop+jwt', jwk: { crv: 'Ed25519', kty: 'OKP', x } }
      const proof = { htm: 'GET', htu: `https://me.test${path}`, jti: path, iat: now, ath: sha256(jwt) }
      return signed(header, proof, client.privateKey)
    }

    const { kest } = createService({ engine: new MockPolicyEngine() })
    const token = {
      jwks: issuer.publicKey,
      issuer: 'https://issuer.test',
      audience: 'me',
      dpop: { origins: 'https://me.test' },
    }
    const app = express()
    app.use('/api', kestExpress({ kest, origin: 'user_input', token }))
    app.get('/api/x', protect({ policy: 'p' }), (req, res) => res.end(req.kest?.user))
    const { port } = await serve(app)
    const get = (proof: string) =>
      raw(port, ['GET /api/x?a=b HTTP/1.1', `authorization: DPoP ${jwt}`, `dpop: ${proof}`])
    expect((await get(prove('/api/x'))).body).toContain('alice')
    expect((await get(prove('/x'))).head).toMatch(/^HTTP\/1\.1 401 /)
  })
})

describe.each(MAJORS)('a denial with a reason on Express $major', ({ express }) => {
  it('tells it to the log, and over the wire to nobody', async () => {
    const { kest, logger } = createService({
      engine: new MockPolicyEngine(() => ({ allow: false, reason: 'embargo list 7' })),
    })
    const app = express()
    const handler = vi.fn()
    app.use(kestExpress({ kest, origin: 'user_input' }))
    app.get('/x', protect({ policy: 'p' }), handler)
    const { port } = await serve(app)
    const answer = await raw(port, ['GET /x HTTP/1.1'])
    expect(answer.body).toContain('ERR_KEST_DENIED')
    expect(answer.head + answer.body).not.toContain('embargo')
    expect(logger.records).toContainEqual(
      expect.objectContaining({ details: expect.objectContaining({ reason: 'embargo list 7' }) }),
    )
    expect(handler).not.toHaveBeenCalled()
  })
})

/** A header with a token as that issuer would sign it, good for a minute. */
async function bearer(issuer: MockIdentityProvider, claims: object): Promise<string> {
  const { header, sign } = issuer.current()
  const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encoded(header)}.${encoded({ ...claims, exp: Math.floor(Date.now() / 1000) + 60 })}`
  return `authorization: Bearer ${input}.${Buffer.from(await sign(Buffer.from(input))).toString('base64url')}`
}
