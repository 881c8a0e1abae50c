import { createHash, generateKeyPairSync } from 'node:crypto'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { createKest, type Kest } from '../config/kest.js'
import { KestError, type KestErrorCode } from '../errors.js'
import type { Operation } from '../hook/operation.js'
import { createKeyIdentity, type KeyIdentity } from '../identity/key-identity.js'
import type { KeySource } from '../identity/key-source.js'
import { createKeySource } from '../identity/keys.js'
import type { Signer } from '../identity/provider.js'
import type { ListenerOptions } from '../ingress/listener-options.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { createFunctionEngine } from '../policy/function-engine.js'
import { MEMBER } from '../propagation/baggage-names.js'
import { MemoryCache } from '../propagation/memory-cache.js'
import { FakeClock } from '../testing/fake-clock.js'
import { RecordingLogger } from '../testing/recording-logger.js'
import { createHopToken, parseHopToken } from './hop-token.js'

const NOW = Date.UTC(2030, 0, 1)
const ORDERS = 'https://orders.test'
const engine = createFunctionEngine({ allow: () => true })

/** Workloads with throw-away keys. */
const gateway = identityOf('spiffe://example.org/gateway')
const proxy = identityOf('spiffe://example.org/proxy')
const thief = identityOf('spiffe://example.org/thief')
const partner = identityOf('spiffe://partner.example/api')
const orders = identityOf('spiffe://example.org/orders')
const trust = createKeySource(
  Object.fromEntries(
    [gateway, proxy, thief, partner, orders].map((one) => [one.getWorkloadId(), [one.getPublicJwk()]]),
  ),
)

function identityOf(id: string, curve?: 'P-256'): KeyIdentity {
  const { privateKey } =
    curve === undefined ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: curve })
  return createKeyIdentity(id, privateKey)
}

let clock: FakeClock
beforeEach(() => {
  clock = new FakeClock(NOW)
})

function kestOf(identity: KeyIdentity, more: Parameters<typeof createKest>[0] = {}): Kest {
  return createKest({ identity, engine, trust, clock, logger: new RecordingLogger(), ...more })
}

/** An operation of a workload, and what follows on one of another's. */
function operationOf(kest: Kest, after?: Operation): Promise<Operation> {
  return kest.begin(
    { operation: 'step', policy: 'allow', ...(after === undefined && { origin: 'system' }) },
    { state: after?.state ?? null },
  )
}

/** What a service sends to another. */
async function sent(
  kest: Kest,
  {
    operation,
    url = `${ORDERS}/orders/1`,
    hop = true,
  }: { operation?: Operation; url?: string; hop?: boolean } = {},
): Promise<string> {
  const { state } = operation ?? (await operationOf(kest))
  const outbound = kest.outbound({ propagateTo: () => true, hop })
  return (await outbound.baggage(undefined, new URL(url), state)) ?? ''
}

function member(baggage: string, key: string): string {
  const found = baggage.split(',').find((text) => text.startsWith(`${key}=`))
  if (found === undefined) throw new Error(`no ${key} in ${baggage}`)
  return found.slice(key.length + 1)
}

/** With another token, or none. */
function withToken(baggage: string, token: string | null): string {
  const others = baggage.split(',').filter((text) => !text.startsWith(`${MEMBER.hop}=`))
  return [...others, ...(token === null ? [] : [`${MEMBER.hop}=${token}`])].join(',')
}

function receiver(
  options: Partial<ListenerOptions> = {},
  kest: Kest = kestOf(orders),
): (baggage?: string) => ReturnType<ReturnType<Kest['listener']>['receive']> {
  const listener = kest.listener({ binding: 'hop', audiences: [ORDERS], ...options })
  return (baggage) => listener.receive({ headers: baggage === undefined ? {} : { baggage } })
}

async function refusal(answer: Promise<unknown>): Promise<KestErrorCode> {
  return answer.then(
    () => {
      throw new Error('expected a refusal')
    },
    (error: unknown) => {
      if (error instanceof KestError) return error.code
      throw error
    },
  )
}

/** A token of any content, signed in earnest. */
function tokenOf(identity: KeyIdentity, claims: unknown, header: object = {}): string {
  const { header: own, sign } = identity.current()
  const text = typeof claims === 'string' ? claims : JSON.stringify(claims)
  const encode = (value: string) => Buffer.from(value).toString('base64url')
  const input = `${encode(JSON.stringify({ ...own, typ: 'kest-hop', ...header }))}.${encode(text)}`
  return `${input}.${Buffer.from(sign(Buffer.from(input)) as Uint8Array).toString('base64url')}`
}

/** A passport on its way, and the claims that would do for it. */
async function underWay(kest = kestOf(gateway)) {
  const baggage = await sent(kest)
  const iat = NOW / 1000
  const tips = [member(baggage, MEMBER.chainTip)]
  return { baggage, claims: { aud: ORDERS, exp: iat + 30, iat, jti: 'a-token-of-the-test', tips } }
}

describe('a hop token', () => {
  it('K-HOP binds a passport to its sender and to the origin called', async () => {
    const kest = kestOf(gateway)
    const operation = await operationOf(kest)
    const baggage = await sent(kest, { operation })
    const state = await receiver()(baggage)
    expect(state.frame.lineage.strings()).toEqual(operation.passport.toJSON())

    const [header, payload] = member(baggage, MEMBER.hop)
      .split('.', 2)
      .map((text) => JSON.parse(Buffer.from(text, 'base64url').toString('utf8')))
    expect(header).toEqual({ alg: 'EdDSA', typ: 'kest-hop', kid: gateway.getPublicJwk().kid })
    expect(payload).toEqual({
      aud: ORDERS,
      exp: NOW / 1000 + 30,
      iat: NOW / 1000,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      tips: [operation.entry.hash],
    })
  })

  it.each(['P-256'] as const)('K-HOP is signed with whatever key the sender has: %s', async (curve) => {
    const one = identityOf('spiffe://example.org/one', curve)
    const keys = createKeySource({ 'spiffe://example.org/one': [one.getPublicJwk()] })
    const baggage = await sent(kestOf(one))
    await expect(receiver({}, kestOf(orders, { trust: keys }))(baggage)).resolves.toBeDefined()
  })

  it('K-HOP is refused when it comes again', async () => {
    const baggage = await sent(kestOf(gateway))
    const receive = receiver()
    await receive(baggage)
    expect(await refusal(receive(baggage))).toBe('ERR_KEST_BINDING')
  })

  it('K-HOP is refused when it comes again to another listener of the same instance', async () => {
    const baggage = await sent(kestOf(gateway))
    const kest = kestOf(orders)
    await receiver({}, kest)(baggage)
    expect(await refusal(receiver({ maxAgeMs: 1 }, kest)(baggage))).toBe('ERR_KEST_BINDING')
  })

  it('K-HOP is refused when it comes again to another instance with the same replay store', async () => {
    const baggage = await sent(kestOf(gateway))
    const replayStore = new MemoryCache({ clock })
    await receiver({ replayStore })(baggage)
    expect(await refusal(receiver({ replayStore })(baggage))).toBe('ERR_KEST_BINDING')
  })

  it('K-HOP makes each dispatch another one, of the same passport too', async () => {
    const kest = kestOf(gateway)
    const operation = await operationOf(kest)
    const receive = receiver()
    await receive(await sent(kest, { operation }))
    await expect(receive(await sent(kest, { operation }))).resolves.toBeDefined()
  })

  it('K-HOP is refused for another origin', async () => {
    const baggage = await sent(kestOf(gateway), { url: 'https://payments.test/' })
    expect(await refusal(receiver()(baggage))).toBe('ERR_KEST_BINDING')
  })

  it.each([
    ['with the port of the scheme', 'https://orders.test:443/x', 'https://orders.test', true],
    ['however the operator writes it', 'https://orders.test/x', 'HTTPS://Orders.Test:443', true],
    ['by its port', 'https://orders.test:8443/x', 'https://orders.test', false],
    ['by its scheme', 'http://orders.test/x', 'https://orders.test', false],
  ])('K-HOP knows its audience %s', async (_, url, audience, accepted) => {
    const baggage = await sent(kestOf(gateway), { url })
    const answer = receiver({ audiences: [audience] })(baggage)
    if (accepted) await expect(answer).resolves.toBeDefined()
    else expect(await refusal(answer)).toBe('ERR_KEST_BINDING')
  })

  it.each([
    [-5001, false],
    [-5000, true],
    [34_999, true],
    [35_000, false],
  ])('K-HOP with a clock that differs by %i ms: accepted %s', async (difference, accepted) => {
    const baggage = await sent(kestOf(gateway))
    clock.advance(difference)
    const answer = receiver()(baggage)
    if (accepted) await expect(answer).resolves.toBeDefined()
    else expect(await refusal(answer)).toBe('ERR_KEST_BINDING')
  })

  it('K-HOP is remembered as long as it is good', async () => {
    const receive = receiver()
    clock.advance(5000)
    const baggage = await sent(kestOf(gateway))
    clock.advance(-5000)
    await receive(baggage)
    clock.advance(39_999)
    expect(await refusal(receive(baggage))).toBe('ERR_KEST_BINDING')
  })

  it('K-HOP is refused when another than the principal of a tip signed it, who is known here', async () => {
    const { baggage, claims } = await underWay()
    expect(await refusal(receiver()(withToken(baggage, tokenOf(thief, claims))))).toBe('ERR_KEST_BINDING')
  })

  it('K-HOP is refused when it was signed with a key that nobody vouches for', async () => {
    const { baggage, claims } = await underWay()
    const unknown = identityOf(gateway.getWorkloadId())
    const kid = gateway.getPublicJwk().kid
    for (const token of [tokenOf(unknown, claims), tokenOf(unknown, claims, { kid })]) {
      expect(await refusal(receiver()(withToken(baggage, token)))).toBe('ERR_KEST_BINDING')
    }
  })

  it('K-HOP is not the word of an earlier hop, whose entry is no tip', async () => {
    const first = await operationOf(kestOf(gateway))
    const second = kestOf(proxy)
    const baggage = await sent(second, { operation: await operationOf(second, first) })
    const claims = { ...(await underWay()).claims, tips: [member(baggage, MEMBER.chainTip)] }
    expect(await refusal(receiver()(withToken(baggage, tokenOf(gateway, claims))))).toBe('ERR_KEST_BINDING')
    await expect(receiver()(baggage)).resolves.toBeDefined()
  })

  it('K-HOP takes the word of a relay, and of no other', async () => {
    const operation = await operationOf(kestOf(gateway))
    const relayed = () => sent(kestOf(proxy), { operation })
    expect(await refusal(receiver()(await relayed()))).toBe('ERR_KEST_BINDING')
    const relays = [proxy.getWorkloadId()]
    await expect(receiver({ relays })(await relayed())).resolves.toBeDefined()
    expect(await refusal(receiver({ relays })(await sent(kestOf(thief), { operation })))).toBe(
      'ERR_KEST_BINDING',
    )
  })

  it('K-HOP is for all tips of its passport', async () => {
    const kest = kestOf(gateway)
    const root = await operationOf(kest)
    await Promise.all(
      [1, 2].map(async () => {
        const branch = await operationOf(kest, root)
        branch.settle()
      }),
    )
    const baggage = await sent(kest, { operation: root })
    expect(decodeURIComponent(member(baggage, MEMBER.chainTip)).split(',')).toHaveLength(2)
    await expect(receiver()(baggage)).resolves.toBeDefined()
  })

  it('K-HOP is refused beside a passport that was cut back to an earlier tip', async () => {
    const kest = kestOf(gateway)
    const root = await operationOf(kest)
    const earlier = await sent(kest, { operation: root, hop: false })
    const next = await operationOf(kest, root)
    const token = member(await sent(kest, { operation: next }), MEMBER.hop)
    expect(await refusal(receiver()(withToken(earlier, token)))).toBe('ERR_KEST_BINDING')
  })

  it('K-HOP is refused beside another passport of the same sender', async () => {
    const kest = kestOf(gateway)
    const token = member(await sent(kest), MEMBER.hop)
    expect(await refusal(receiver()(withToken(await sent(kest), token)))).toBe('ERR_KEST_BINDING')
  })

  it('K-HOP is required, with every passport', async () => {
    const receive = receiver()
    expect(await refusal(receive(await sent(kestOf(gateway), { hop: false })))).toBe('ERR_KEST_BINDING')
    expect(await refusal(receive(undefined))).toBe('ERR_KEST_LINEAGE_MISSING')
    const alone = `${MEMBER.hop}=${member(await sent(kestOf(gateway)), MEMBER.hop)}`
    expect(await refusal(receive(alone))).toBe('ERR_KEST_LINEAGE_MISSING')
  })

  it('K-HOP is not looked at without a binding', async () => {
    const baggage = withToken(await sent(kestOf(gateway)), 'nonsense')
    const { receive } = kestOf(orders).listener()
    await expect(receive({ headers: { baggage } })).resolves.toBeDefined()
  })

  it('K-HOP is judged before a claim check is looked up', async () => {
    const cache = { get: vi.fn(() => null), setIfAbsent: vi.fn(() => true) }
    const tip = 'a'.repeat(64)
    const claim = `${MEMBER.claimCheck}=7b7f3c2a-91d5-4c47-9a63-0d9d6a0f5f11,${MEMBER.chainTip}=${tip}`
    const receive = receiver({}, kestOf(orders, { cache }))
    expect(await refusal(receive(claim))).toBe('ERR_KEST_BINDING')
    const { claims } = await underWay()
    for (const wrong of [{ aud: 'https://payments.test' }, { iat: 0, exp: 30 }]) {
      expect(await refusal(receive(withToken(claim, tokenOf(thief, { ...claims, ...wrong }))))).toBe(
        'ERR_KEST_BINDING',
      )
    }
    expect(cache.get).not.toHaveBeenCalled()
  })

  it('K-HOP counts for the room in a header', async () => {
    const propagation = { maxHeaderLength: 1300 }
    const kest = kestOf(gateway, { propagation })
    const operation = await operationOf(kest)
    await expect(sent(kest, { operation, hop: false })).resolves.toMatch(/^kest\.passport/)
    await expect(sent(kest, { operation })).rejects.toMatchObject({ code: 'ERR_KEST_TOO_LARGE' })
    const cached = kestOf(gateway, { propagation, cache: new MemoryCache() })
    const baggage = await sent(cached, { operation })
    expect(baggage).toMatch(/^kest\.claim_check=/)
    expect(baggage.length).toBeLessThanOrEqual(1300)
  })

  it('K-HOP is written for origins in scope alone', async () => {
    const kest = kestOf(gateway)
    const { state } = await operationOf(kest)
    const outbound = kest.outbound({ propagateTo: [ORDERS], hop: true })
    expect(await outbound.baggage('a=1', new URL('https://strangers.test'), state)).toBe('a=1')
    expect(await outbound.baggage('a=1', new URL(ORDERS), null)).toBe('a=1')
  })

  it('goes with headers that another client sends', async () => {
    const kest = kestOf(gateway)
    const { state } = await operationOf(kest)
    const headers = await kest.run(state, () => kest.inject(new Headers(), `${ORDERS}/x`, { hop: true }))
    const receiving = kestOf(orders).extract(headers, { binding: 'hop', audiences: [ORDERS] })
    await expect(receiving).resolves.toBeDefined()
  })
})

describe('a sender', () => {
  it('K-HOP may sign elsewhere, and take its time', async () => {
    const local = gateway.current()
    const remote: Signer = { ...local, local: false, sign: async (input) => local.sign(input) }
    const kest = kestOf({ ...gateway, current: async () => remote } as unknown as KeyIdentity)
    await expect(receiver()(await sent(kest))).resolves.toBeDefined()
  })

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('no SVID')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no SVID'))],
    [
      'has a signer that fails',
      () => ({
        ...gateway.current(),
        sign: () => {
          throw new Error('HSM')
        },
      }),
    ],
    ['answers no signature', () => ({ ...gateway.current(), sign: () => new Uint8Array(3) })],
  ])('F-ID-04 K-HOP sends nothing when its identity %s', async (_, current) => {
    const operation = await operationOf(kestOf(gateway))
    const kest = kestOf({ ...gateway, current } as unknown as KeyIdentity)
    await expect(sent(kest, { operation })).rejects.toMatchObject({ code: 'ERR_KEST_IDENTITY' })
  })

  it('needs an identity, when it is made', () => {
    const kest = createKest({ engine, logger: new RecordingLogger() })
    expect(() => kest.outbound({ propagateTo: [ORDERS], hop: true })).toThrow(/no identity is configured/)
    expect(() => kestOf(gateway).outbound({ propagateTo: [ORDERS], hop: 'yes' as never })).toThrow(/boolean/)
  })
})

describe('an edge that takes lineage from a partner', () => {
  const edge = {
    origin: 'internet',
    acceptLineage: true,
    trustDomains: { 'partner.example': {} },
  } as const

  it('K-EDGE takes lineage whose sender is known', async () => {
    const state = await receiver(edge)(await sent(kestOf(partner)))
    expect(state.origin).toBeNull()
    expect(state.frame.lineage.tips.map(({ principal, trustScore }) => [principal, trustScore])).toEqual([
      [partner.getWorkloadId(), 60],
    ])
  })

  it('K-EDGE begins what comes without', async () => {
    const state = await receiver(edge)('tenant=7')
    expect(state.origin).toBe('internet')
    expect(state.frame.lineage.length).toBe(0)
  })

  it.each<[string, (baggage: string) => string, KestErrorCode]>([
    ['without a token', (baggage) => withToken(baggage, null), 'ERR_KEST_BINDING'],
    [
      'with a token alone',
      (baggage) => `kest.hop=${member(baggage, MEMBER.hop)}`,
      'ERR_KEST_LINEAGE_MISSING',
    ],
    ['misspelled', (baggage) => baggage.replace('kest.passport', 'Kest.passport'), 'ERR_KEST_BAGGAGE'],
    ['that is none', () => 'kest.user=alice', 'ERR_KEST_BINDING'],
  ])('K-EDGE refuses lineage %s, and does not begin anew', async (_, spoil, code) => {
    expect(await refusal(receiver(edge)(spoil(await sent(kestOf(partner)))))).toBe(code)
  })
})

describe('a token that is malformed', () => {
  it.each<[string, (claims: Record<string, unknown>) => unknown]>([
    ['is for longer than 30 seconds', (claims) => ({ ...claims, exp: (claims['iat'] as number) + 31 })],
    ['ends before it begins', (claims) => ({ ...claims, exp: (claims['iat'] as number) - 1 })],
    ['has fractions of seconds', (claims) => ({ ...claims, iat: (claims['iat'] as number) + 0.5 })],
    ['has times in text', (claims) => ({ ...claims, iat: String(claims['iat']) })],
    ['has no audience', ({ aud: _, ...claims }) => claims],
    ['has several audiences', (claims) => ({ ...claims, aud: [ORDERS] })],
    ['has no id', ({ jti: _, ...claims }) => claims],
    ['has an empty id', (claims) => ({ ...claims, jti: '' })],
    ['has an endless id', (claims) => ({ ...claims, jti: 'a'.repeat(129) })],
    ['has no tips', (claims) => ({ ...claims, tips: [] })],
    ['has its tips in one text', (claims) => ({ ...claims, tips: (claims['tips'] as string[]).join(',') })],
    [
      'has a tip twice',
      (claims) => ({ ...claims, tips: [...(claims['tips'] as []), ...(claims['tips'] as [])] }),
    ],
    ['has a tip more', (claims) => ({ ...claims, tips: [...(claims['tips'] as []), 'b'.repeat(64)] })],
    ['has a member twice', (claims) => `{"aud":"https://payments.test",${JSON.stringify(claims).slice(1)}`],
    ['nests', (claims) => ({ ...claims, more: [[[[]]]] })],
    ['is a list', (claims) => [claims]],
    ['is null', () => null],
    ['is not JSON', () => '{'],
  ])('K-HOP refuses one that %s', async (_, spoil) => {
    const { baggage, claims } = await underWay()
    const receive = receiver()
    expect(await refusal(receive(withToken(baggage, tokenOf(gateway, spoil(claims)))))).toBe(
      'ERR_KEST_BINDING',
    )
    await expect(receive(withToken(baggage, tokenOf(gateway, claims)))).resolves.toBeDefined()
  })

  it('K-HOP tolerates members that it does not know: they are signed', async () => {
    const { baggage, claims } = await underWay()
    const token = tokenOf(gateway, { ...claims, iss: gateway.getWorkloadId() })
    await expect(receiver()(withToken(baggage, token))).resolves.toBeDefined()
  })

  it.each<[string, object]>([
    ['of an entry', { typ: 'JWS' }],
    ['of a token of OAuth', { typ: 'at+jwt' }],
    ['without a signature', { alg: 'none' }],
    ['of another algorithm', { alg: 'ES256' }],
    ['with crit', { crit: ['exp'] }],
    ['with certificates that nobody judges', { kid: undefined, x5c: ['AAAA'] }],
  ])('K-HOP refuses one with the header %s', async (_, header) => {
    const { baggage, claims } = await underWay()
    const token = tokenOf(gateway, claims, header)
    expect(await refusal(receiver()(withToken(baggage, token)))).toBe('ERR_KEST_BINDING')
  })

  it('K-HOP takes no entry for a token', async () => {
    const kest = kestOf(gateway)
    const operation = await operationOf(kest)
    const baggage = await sent(kest, { operation })
    expect(await refusal(receiver()(withToken(baggage, operation.entry.jws)))).toBe('ERR_KEST_BINDING')
  })

  it.each<[string, (token: string) => string]>([
    ['two segments', (token) => token.split('.').slice(0, 2).join('.')],
    ['four segments', (token) => `${token}.`],
    ['an altered signature', (token) => token.replace(/.{4}$/, (end) => (end === 'AAAA' ? 'BBBB' : 'AAAA'))],
    ['padding', (token) => `${token}==`],
    ['more than is read', (token) => token.replace('.', `.${'A'.repeat(8192)}`)],
  ])('K-HOP refuses one with %s', async (_, spoil) => {
    const { baggage, claims } = await underWay()
    const token = encodeURIComponent(spoil(tokenOf(gateway, claims)))
    expect(await refusal(receiver()(withToken(baggage, token)))).toBe('ERR_KEST_BINDING')
  })

  it('K-HOP judges the sender before the passport, of which it then parses nothing', async () => {
    const { baggage, claims } = await underWay()
    const listening = receiver()
    const parse = vi.spyOn(JSON, 'parse')
    const parsed = () => parse.mock.calls.filter(([text]) => text.includes('"operation":')).length
    try {
      for (const token of [
        tokenOf(thief, claims),
        tokenOf(gateway, { ...claims, tips: ['a'.repeat(64)] }),
        tokenOf(gateway, { ...claims, tips: [...claims.tips, 'a'.repeat(64)] }),
      ]) {
        expect(await refusal(listening(withToken(baggage, token)))).toBe('ERR_KEST_BINDING')
      }
      expect(parsed()).toBe(0)
      await listening(withToken(baggage, tokenOf(gateway, claims)))
      expect(parsed()).toBe(1)
    } finally {
      parse.mockRestore()
    }
  })

  it('K-TIPS names as many tips as it has room for, and their digest from there on', async () => {
    const tips = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(64, '0')).reverse()
    const make = async (count: number, room: number): Promise<string> =>
      await createHopToken(gateway.current(), ORDERS, tips.slice(0, count), NOW, DEFAULT_LIMITS, room)
    const stated = (token: string): readonly string[] => parseHopToken(token, DEFAULT_LIMITS).claims.tips
    const listed = await make(20, 4_000)
    expect(stated(listed)).toEqual(tips.slice(0, 20))
    const digest = createHash('sha256')
      .update([...tips].reverse().join(','))
      .digest('hex')
    const digested = await make(256, 4_000)
    expect(digested.length).toBeLessThan(4_000)
    expect(stated(digested)).toEqual([`~${digest}`])
    expect(stated(await make(20, listed.length - 1))).toEqual([expect.stringMatching(/^~/)])
  })
})

describe('what cannot be said', () => {
  const knows = (find: KeySource['find']): KeySource => ({ name: 'x', generation: 0, kind: 'keys', find })

  it('K-HOP is unavailable, not refused, while the keys of a relay cannot be had', async () => {
    const broken = knows(({ principal }) =>
      principal === proxy.getWorkloadId()
        ? Promise.reject(new KestError('ERR_KEST_KEYS_UNAVAILABLE', 'no JWKS'))
        : [],
    )
    const operation = await operationOf(kestOf(gateway))
    const receive = receiver({ relays: [proxy.getWorkloadId()] }, kestOf(orders, { trust: [broken, trust] }))
    expect(await refusal(receive(await sent(kestOf(proxy), { operation })))).toBe('ERR_KEST_KEYS_UNAVAILABLE')
    await expect(receive(await sent(kestOf(gateway), { operation }))).resolves.toBeDefined()
  })

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('down')
      },
    ],
    ['rejects', () => Promise.reject(new Error('down'))],
    ['answers no boolean', () => 'OK'],
    ['promises no boolean', async () => undefined],
    ['never answers', () => new Promise(() => {})],
  ])('K-HOP is unavailable when the replay store %s', async (_, setIfAbsent) => {
    const receive = receiver({ replayStore: { setIfAbsent } as never })
    expect(await refusal(receive(await sent(kestOf(gateway))))).toBe('ERR_KEST_CACHE')
  })

  it('K-HOP remembers a token for as long as any listener of the instance would take it', async () => {
    const kest = kestOf(orders)
    const [strict, lenient] = [
      receiver({ clockSkewMs: 0 }, kest),
      receiver({ clockSkewMs: 60_000 }, kest),
    ] as const
    const { baggage, claims } = await underWay()
    const token = withToken(baggage, tokenOf(gateway, claims))
    await strict(token)
    clock.advance(31_000)
    expect(await refusal(lenient(token))).toBe('ERR_KEST_BINDING')
  })

  it('K-HOP remembers only what was signed by somebody who may send', async () => {
    const setIfAbsent = vi.fn(() => true)
    const receive = receiver({ replayStore: { setIfAbsent } })
    const { baggage, claims } = await underWay()
    await refusal(receive(withToken(baggage, tokenOf(thief, claims))))
    expect(setIfAbsent).not.toHaveBeenCalled()
    await receive(withToken(baggage, tokenOf(gateway, claims)))
    expect(setIfAbsent).toHaveBeenCalledWith(
      expect.stringMatching(/^kest:default:hop:[\w-]{43}$/),
      '1',
      150_000,
    )
  })
})
