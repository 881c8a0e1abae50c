import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { type JWK, SignJWT } from 'jose'
import { v7 as uuidv7 } from 'uuid'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { MemoryReplayStore } from '../binding/replay-store.js'
import { type KestEntry, LABEL, ROOT_PARENT, RUNTIME_NAME, SCHEMA_VERSION } from '../entry/entry.js'
import { KestError, type KestErrorCode } from '../errors.js'
import { createKeyIdentity } from '../identity/key-identity.js'
import { createKeySource } from '../identity/keys.js'
import type { IdentityProvider } from '../identity/provider.js'
import { signEntry } from '../jws/compact.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { Passport } from '../passport/passport.js'
import { SignatureCache } from '../passport/signature-cache.js'
import type { IdentityContext } from '../passport/verified.js'
import { resolvePropagation } from '../propagation/options.js'
import { Outages } from '../telemetry/outages.js'
import { Refusals } from '../telemetry/refusals.js'
import { createOriginMap } from '../trust/origins.js'
import { createListener, type InboundHeaders, type Listener, type ListenerDeps } from './listener.js'
import type { ListenerOptions } from './listener-options.js'

const NOW = Date.UTC(2030, 0, 1)
const TRACE = 'a'.repeat(32)
const OTHER_TRACE = 'b'.repeat(32)
const clock = { now: () => NOW }

/** Workloads with throw-away keys. */
interface Workload {
  readonly id: string
  readonly identity: IdentityProvider
  readonly jwk: JWK
}

function workload(id: string): Workload {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return { id, identity: createKeyIdentity(id, privateKey), jwk: publicKey.export({ format: 'jwk' }) as JWK }
}

const self = workload('spiffe://example.org/self')
const hop1 = workload('spiffe://example.org/hop1')
const hop2 = workload('spiffe://example.org/hop2')
const partner = workload('spiffe://partner.example/api')
const lambda = workload('arn:aws:iam::123456789012:role/orders')
const stranger = workload('spiffe://example.org/hop1')

const trust = [
  createKeySource(Object.fromEntries([self, hop1, hop2, partner, lambda].map(({ id, jwk }) => [id, [jwk]]))),
]

interface Signed {
  readonly jws: string
  readonly hash: string
}

interface Draft {
  readonly by?: Workload
  readonly parents?: readonly Signed[]
  /** Milliseconds before now. */
  readonly age?: number
  readonly trace?: string | null
  readonly who?: Partial<IdentityContext>
  readonly labels?: Readonly<Record<string, string>>
  readonly fields?: Partial<KestEntry>
}

async function entry({
  by = hop1,
  parents = [],
  age = 0,
  trace = TRACE,
  who,
  labels,
  fields,
}: Draft = {}): Promise<Signed> {
  const { user = null, agent = null, task = null } = who ?? {}
  return signEntry(
    {
      schema_version: SCHEMA_VERSION,
      runtime: { name: RUNTIME_NAME, version: '0.1.0' },
      entry_id: uuidv7(),
      operation: 'orders.read',
      classification: 'system',
      trust_score: 100,
      parent_ids: parents.length === 0 ? [ROOT_PARENT] : parents.map(({ hash }) => hash),
      added_taints: [],
      removed_taints: [],
      taints: [],
      labels: {
        [LABEL.principal]: by.id,
        ...(trace !== null && { [LABEL.traceId]: trace }),
        ...(who !== undefined && { [LABEL.identity]: JSON.stringify({ agent, task, user }) }),
        ...labels,
      },
      policy_context: {
        enterprise_policies: [],
        platform_policies: [],
        app_policies: [],
        function_policies: ['orders/read'],
        deviations: [],
      },
      environment: {},
      otel_context: {},
      metadata: null,
      content_hash: '',
      input_hash: '',
      timestamp_ms: NOW - age,
      ...fields,
    },
    await by.identity.current(),
  )
}

/** A passport of entries one after the other. */
async function chain(...drafts: readonly Draft[]): Promise<Signed[]> {
  const entries: Signed[] = []
  for (const draft of drafts) {
    const last = entries.at(-1)
    entries.push(await entry({ ...(last && { parents: [last] }), ...draft }))
  }
  return entries
}

function headersOf(entries: readonly Signed[], more: Readonly<Record<string, string>> = {}): InboundHeaders {
  const members = { 'kest.passport': JSON.stringify(entries.map(({ jws }) => jws)), ...more }
  const baggage = Object.entries(members).map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
  return { baggage: baggage.join(',') }
}

const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }
const HOP = { binding: 'hop', audiences: ['https://orders.test'] } as const
const claims = { get: vi.fn(() => null), setIfAbsent: vi.fn(() => true) }
const onVerified = vi.fn()
const onStripped = vi.fn()

function deps(more: Partial<ListenerDeps> = {}): ListenerDeps {
  return {
    identity: self.identity,
    trust,
    propagation: resolvePropagation({ cache: claims }),
    limits: DEFAULT_LIMITS,
    origins: createOriginMap(),
    clock,
    logger,
    outages: new Outages(logger),
    refusals: new Refusals(logger),
    cache: new SignatureCache(),
    replay: new MemoryReplayStore({ clock }),
    onVerified,
    onStripped,
    ...more,
  }
}

const listen = (options: ListenerOptions = {}, more: Partial<ListenerDeps> = {}): Listener =>
  createListener(deps(more), options)

async function refusal(listener: Listener, headers: InboundHeaders): Promise<KestError> {
  const error = await listener.receive({ headers: { ...headers } }).then(
    () => expect.unreachable('the request was accepted'),
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(KestError)
  return error as KestError
}

async function expectRefused(
  listener: Listener,
  headers: InboundHeaders,
  code: KestErrorCode,
): Promise<KestError> {
  const error = await refusal(listener, headers)
  expect(error.code, error.message).toBe(code)
  return error
}

beforeEach(() => {
  vi.clearAllMocks()
})

describe('an internal listener', () => {
  it('F-CP-02 K-INGRESS restores a verified passport into the frame of the request', async () => {
    const entries = await chain(
      { by: hop1 },
      { by: hop2, fields: { trust_score: 40, taints: ['pii'], added_taints: ['pii'] } },
    )
    const tip = entries[1] as Signed
    const signal = new AbortController().signal
    const state = await listen().receive({
      headers: headersOf(entries, { 'kest.chain_tip': tip.hash }),
      signal,
    })
    expect(state).toMatchObject({ origin: null, identity: null, jwt: null })
    expect(state.signal).toBe(signal)
    expect(state.frame.lineage.strings()).toEqual(entries.map(({ jws }) => jws))
    expect(state.frame.lineage.tips).toMatchObject([
      { hash: tip.hash, trustScore: 40, taints: ['pii'], proven: true },
    ])
    expect(onVerified).toHaveBeenCalledExactlyOnceWith('ok', expect.any(Number))
    expect(logger.warn).not.toHaveBeenCalled()
  })

  it('F-CP-05 restores a passport from its claim check', async () => {
    const entries = await chain({}, {})
    claims.get.mockReturnValueOnce(JSON.stringify(entries.map(({ jws }) => jws)) as never)
    const uuid = '9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d'
    const headers = { baggage: `kest.claim_check=${uuid},kest.chain_tip=${entries[1]?.hash}` }
    const state = await listen().receive({ headers: { ...headers } })
    expect(state.frame.lineage.length).toBe(2)
  })

  it.each<[string, InboundHeaders]>([
    ['no baggage', {}],
    ['baggage of others only', { baggage: 'tenant=7,user=alice' }],
    ['an identity and no passport', { baggage: 'kest.user=' }],
    ['an empty passport', { baggage: 'kest.passport=%5B%5D' }],
    ['an empty passport without encoding', { baggage: 'kest.passport=[]' }],
  ])('K-ROOT refuses a request with %s', async (_, headers) => {
    const error = await expectRefused(listen(), headers, 'ERR_KEST_LINEAGE_MISSING')
    expect(error.statusCode).toBe(403)
    expect(onVerified).toHaveBeenCalledExactlyOnceWith('ERR_KEST_LINEAGE_MISSING', expect.any(Number))
  })

  it('K-ROOT makes no exception for a request with a token', async () => {
    await expectRefused(
      listen({ token: tokens }),
      { authorization: await bearer() },
      'ERR_KEST_LINEAGE_MISSING',
    )
  })

  it('K-TIP refuses a tip that came without its passport', async () => {
    await expectRefused(listen(), { baggage: `kest.chain_tip=${'0'.repeat(64)}` }, 'ERR_KEST_TIP')
  })

  it('K-TIP refuses a passport whose tip was cut off', async () => {
    const entries = await chain({}, {}, {})
    const headers = headersOf(entries.slice(0, 2), { 'kest.chain_tip': entries[2]?.hash as string })
    await expectRefused(listen(), headers, 'ERR_KEST_TIP')
  })

  it('K-TIP refuses a tip beside an empty passport', async () => {
    await expectRefused(listen(), headersOf([], { 'kest.chain_tip': '0'.repeat(64) }), 'ERR_KEST_TIP')
  })

  it('K-INGRESS refuses an entry that its principal did not sign', async () => {
    const error = await expectRefused(
      listen(),
      headersOf(await chain({}, { by: stranger })),
      'ERR_KEST_SIGNATURE',
    )
    expect(error).toMatchObject({ index: 1 })
    expect(logger.warn).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ code: 'ERR_KEST_SIGNATURE', index: 1, entry_id: expect.any(String) }),
      'inbound request refused',
    )
  })

  it('K-INGRESS refuses a principal whose key is not known', async () => {
    const headers = headersOf(await chain({ by: workload('spiffe://example.org/unknown') }))
    await expectRefused(listen(), headers, 'ERR_KEST_KEY_UNKNOWN')
  })

  it.each<[string, InboundHeaders, KestErrorCode]>([
    ['no JSON', { baggage: 'kest.passport=%7B' }, 'ERR_KEST_PASSPORT_MALFORMED'],
    ['no array', { baggage: 'kest.passport=%7B%7D' }, 'ERR_KEST_PASSPORT_MALFORMED'],
    ['an entry that is none', { baggage: 'kest.passport=%5B%22a%22%5D' }, 'ERR_KEST_ENTRY_MALFORMED'],
    ['a key spelled otherwise', { baggage: 'Kest.Passport=%5B%5D' }, 'ERR_KEST_BAGGAGE'],
    ['a bad escape', { baggage: 'kest.passport=%ZZ' }, 'ERR_KEST_BAGGAGE'],
    ['a claim check that is none', { baggage: 'kest.claim_check=../../etc' }, 'ERR_KEST_BAGGAGE'],
  ])('answers 400 to a passport with %s', async (_, headers, code) => {
    const error = await expectRefused(listen(), headers, code)
    expect(error.statusCode).toBe(400)
  })

  it('K-ONE refuses two differing values, also in two lines', async () => {
    const one = headersOf(await chain({})).baggage as string
    const other = headersOf(await chain({})).baggage as string
    await expectRefused(listen(), { baggage: `${one},${other}` }, 'ERR_KEST_BAGGAGE')
    await expectRefused(listen(), { baggage: [one, other] }, 'ERR_KEST_BAGGAGE')
    expect((await listen().receive({ headers: { baggage: [one, one] } })).frame.lineage.length).toBe(1)
  })

  it('K-JWT never reads a token from baggage', async () => {
    const token = (await bearer()).slice('Bearer '.length)
    const headers = headersOf(await chain({}), { 'kest.jwt': token })
    const state = await listen({ token: tokens }).receive({ headers: { ...headers } })
    expect(state).toMatchObject({ jwt: null, identity: null })
    await expectRefused(listen({ token: { ...tokens, required: true } }), headers, 'ERR_KEST_TOKEN')
  })

  it('answers 503 and no details while this workload has no identity', async () => {
    const identity: IdentityProvider = {
      getWorkloadId: () => {
        throw new Error('withdrawn')
      },
      current: () => Promise.reject(new Error('withdrawn')),
    }
    const error = await expectRefused(
      listen({}, { identity }),
      headersOf(await chain({})),
      'ERR_KEST_IDENTITY',
    )
    expect(error.statusCode).toBe(503)
    expect(error.cause).toMatchObject({ message: 'withdrawn' })
    expect(logger.error).toHaveBeenCalledOnce()
  })

  it('K-LIMIT holds to the limits it was given', async () => {
    const headers = headersOf(await chain({}, {}))
    await expectRefused(listen({}, { limits: { ...DEFAULT_LIMITS, entries: 1 } }), headers, 'ERR_KEST_LIMIT')
    const propagation = resolvePropagation({ maxInboundLength: 100 })
    await expectRefused(listen({}, { propagation }), headers, 'ERR_KEST_LIMIT')
  })

  it('K-CACHE remembers signatures, and checks everything else again', async () => {
    const cache = new SignatureCache()
    const listener = listen({}, { cache })
    const entries = await chain({}, {})
    const [root, tip] = entries as [Signed, Signed]
    await listener.receive({ headers: headersOf(entries) })
    expect(cache.size).toBe(2)
    expect(await listener.receive({ headers: headersOf(entries) })).toBeDefined()
    expect(cache.size).toBe(2)
    await expectRefused(listener, headersOf([root], { 'kest.chain_tip': tip.hash }), 'ERR_KEST_TIP')
    await expectRefused(listener, headersOf([tip]), 'ERR_KEST_PARENT_UNKNOWN')
    await expectRefused(listener, headersOf([root, tip, tip]), 'ERR_KEST_DUPLICATE')
  })

  it('NF-SEC-02 accepts nothing but a passport, and fails as nothing but itself', async () => {
    const good = (await entry()).jws
    const value = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.json(),
      fc.constantFrom('[]', '["a.b.c"]', `["${good}x"]`, `["${good}","${good}"]`, '0'.repeat(64)),
    )
    const key = fc.constantFrom('passport', 'passport_z', 'claim_check', 'chain_tip', 'user', 'jwt', 'x')
    const member = fc.oneof(
      fc
        .tuple(key, value)
        .map(([name, text]) => `kest.${name}=${encodeURIComponent(Buffer.from(text).toString())}`),
      fc.tuple(key, value).map(([name, text]) => `kest.${name}=${text}`),
      fc.string(),
    )
    const headers = fc.record(
      {
        baggage: fc.oneof(fc.array(member).map(String), fc.array(member)),
        authorization: fc.oneof(
          fc.string(),
          fc.string().map((text) => `Bearer ${text}`),
        ),
      },
      { requiredKeys: [] },
    )
    const internal = listen({ token: { ...tokens, required: true } })
    const edge = listen({ origin: 'internet' })
    await fc.assert(
      fc.asyncProperty(headers, async (given) => {
        await refusal(internal, { ...given } as InboundHeaders)
        const state = await edge.receive({ headers: { ...given } as InboundHeaders })
        expect(state).toMatchObject({ identity: null, jwt: null, frame: { lineage: { length: 0 } } })
      }),
    )
  })

  it('refuses a request whose caller has left', async () => {
    const headers = headersOf(await chain({}))
    await expect(listen().receive({ headers, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_KEST_ABORTED',
    })
  })
})

describe('K-FRESH', () => {
  it('K-FRESH refuses a stale passport, and not one that is just within its age', async () => {
    await expectRefused(listen(), headersOf(await chain({ age: 3_600_001 })), 'ERR_KEST_FRESHNESS')
    expect(await listen().receive({ headers: headersOf(await chain({ age: 3_600_000 })) })).toBeDefined()
    const error = await expectRefused(
      listen({ maxAgeMs: 5 }),
      headersOf(await chain({ age: 6 })),
      'ERR_KEST_FRESHNESS',
    )
    expect(error).toMatchObject({ index: 0, entryId: expect.any(String) })
  })

  it('logs also a failure that is none of its own, and refuses', async () => {
    logger.error.mockClear()
    const broken = {
      now: () => {
        throw new TypeError('no clock')
      },
    }
    const receiving = listen({}, { clock: broken }).receive({ headers: headersOf(await chain({})) })
    await expect(receiving).rejects.toThrow('no clock')
    expect(logger.error).toHaveBeenCalledExactlyOnceWith(
      { code: '_OTHER', asked: 'inbound lineage', err: 'TypeError: no clock' },
      'a function of the application fails: what needs it is refused',
    )
  })

  it('K-FRESH refuses a passport from the future, and not one that is just within the difference of clocks', async () => {
    await expectRefused(listen(), headersOf(await chain({ age: -60_001 })), 'ERR_KEST_FRESHNESS')
    expect(await listen().receive({ headers: headersOf(await chain({ age: -60_000 })) })).toBeDefined()
    await expectRefused(listen({ maxAheadMs: 0 }), headersOf(await chain({ age: -1 })), 'ERR_KEST_FRESHNESS')
  })

  it('K-FRESH asks it of every tip, and of nothing but tips', async () => {
    expect(await listen().receive({ headers: headersOf(await chain({ age: 9e6 }, {})) })).toBeDefined()
    const root = await entry({ age: 9e6 })
    const entries = [root, await entry({ parents: [root] }), await entry({ parents: [root], age: 8e6 })]
    const error = await expectRefused(listen(), headersOf(entries), 'ERR_KEST_FRESHNESS')
    expect(error).toMatchObject({ index: 2 })
  })
})

describe('K-TRACE', () => {
  it('K-TRACE refuses two traces in one passport unless told otherwise', async () => {
    const headers = headersOf(await chain({}, { trace: OTHER_TRACE }))
    const error = await expectRefused(listen(), headers, 'ERR_KEST_TRACE')
    expect(error).toMatchObject({ index: 1 })
    expect(await listen({ traces: 'any' }).receive({ headers: { ...headers } })).toBeDefined()
    expect(
      await listen({ traces: 'any', semantics: 'enforce' }).receive({ headers: { ...headers } }),
    ).toBeDefined()
  })

  it('K-TRACE takes an entry without a trace for none of its own', async () => {
    const entries = await chain({ trace: null }, {}, { trace: null }, {})
    expect(await listen().receive({ headers: headersOf(entries) })).toBeDefined()
    const mixed = await chain({}, { trace: null }, { trace: OTHER_TRACE })
    await expectRefused(listen(), headersOf(mixed), 'ERR_KEST_TRACE')
  })
})

describe('K-EFF and K-DOMAIN', () => {
  const raised: Draft = { labels: { [LABEL.trustOverride]: '100' }, fields: { trust_score: 100 } }
  const low: Draft = { fields: { trust_score: 10, taints: ['pii'], added_taints: ['pii'] } }
  const cleaned: Draft = {
    labels: { [LABEL.sanitizer]: 'true' },
    fields: { trust_score: 10, removed_taints: ['pii'] },
  }

  async function tipOf(options: ListenerOptions, drafts: readonly Draft[], more: Partial<ListenerDeps> = {}) {
    const state = await listen(options, more).receive({ headers: headersOf(await chain(...drafts)) })
    return state.frame.lineage.tips[0]
  }

  it('K-EFF ignores and reports trust that is claimed without a raise', async () => {
    const drafts = [low, { fields: { trust_score: 100, taints: ['pii'] } }]
    expect(await tipOf({}, drafts)).toMatchObject({ trustScore: 10 })
    expect(logger.warn).toHaveBeenCalledExactlyOnceWith(
      { findings: [expect.objectContaining({ code: 'ERR_KEST_TRUST_RAISED', index: 1 })] },
      expect.stringContaining('ignored'),
    )
    await expectRefused(
      listen({ semantics: 'enforce' }),
      headersOf(await chain(...drafts)),
      'ERR_KEST_TRUST_RAISED',
    )
  })

  it('K-EFF lets principals of the own trust domain raise trust and remove taints by default', async () => {
    expect(await tipOf({}, [low, { by: hop2, ...raised }])).toMatchObject({
      trustScore: 100,
      taints: ['pii'],
    })
    expect(await tipOf({}, [low, { by: hop2, ...cleaned }])).toMatchObject({ trustScore: 10, taints: [] })
  })

  it('K-EFF lets only the named raisers do so once they are named', async () => {
    expect(await tipOf({ raisers: [hop1.id] }, [low, { by: hop2, ...raised }])).toMatchObject({
      trustScore: 10,
    })
    expect(await tipOf({ raisers: [hop2.id] }, [low, { by: hop2, ...raised }])).toMatchObject({
      trustScore: 100,
    })
    expect(await tipOf({ raisers: [] }, [low, { by: hop2, ...cleaned }])).toMatchObject({ taints: ['pii'] })
  })

  it('K-DOMAIN refuses principals of a trust domain that is not listed, wherever they stand', async () => {
    await expectRefused(listen(), headersOf(await chain({ by: partner })), 'ERR_KEST_DOMAIN')
    const error = await expectRefused(
      listen(),
      headersOf(await chain({}, { by: partner }, {})),
      'ERR_KEST_DOMAIN',
    )
    expect(error).toMatchObject({ index: 1 })
    const listed = { trustDomains: { 'other.example': {} } }
    await expectRefused(listen(listed), headersOf(await chain({ by: partner })), 'ERR_KEST_DOMAIN')
  })

  it('K-DOMAIN accepts a listed domain up to its ceiling, which holds for what follows', async () => {
    const drafts = [{ by: partner }, { by: hop1 }]
    expect(await tipOf({ trustDomains: { 'partner.example': {} } }, drafts)).toMatchObject({ trustScore: 60 })
    expect(await tipOf({ trustDomains: { 'partner.example': { ceiling: 15 } } }, drafts)).toMatchObject({
      trustScore: 15,
    })
    expect(await tipOf({ trustDomains: { 'partner.example': { ceiling: 100 } } }, drafts)).toMatchObject({
      trustScore: 100,
    })
  })

  it('K-DOMAIN lets a foreign principal raise only where its domain may, and never over its ceiling', async () => {
    const drafts = [low, { by: partner, ...raised }]
    const granted = (more: object) => ({ trustDomains: { 'partner.example': more } })
    expect(await tipOf(granted({}), drafts)).toMatchObject({ trustScore: 10 })
    expect(await tipOf(granted({ raiser: true }), drafts)).toMatchObject({ trustScore: 60 })
    expect(await tipOf({ ...granted({}), raisers: [partner.id] }, drafts)).toMatchObject({ trustScore: 60 })
  })

  it('K-DOMAIN knows no own domain without an identity', async () => {
    await expectRefused(listen({}, { identity: null }), headersOf(await chain({})), 'ERR_KEST_DOMAIN')
    const trustDomains = { 'example.org': { ceiling: 100, raiser: true } }
    const tip = await tipOf({ trustDomains }, [low, raised], { identity: null })
    expect(tip).toMatchObject({ trustScore: 100 })
  })

  it('K-DOMAIN takes a principal that is no SPIFFE ID for a member of no domain, and for no raiser', async () => {
    expect(await tipOf({}, [{ by: lambda }])).toMatchObject({ trustScore: 100 })
    expect(await tipOf({}, [low, { by: lambda, ...raised }])).toMatchObject({ trustScore: 10 })
    const own = { identity: lambda.identity }
    const listed = { trustDomains: { 'example.org': {} } }
    expect(await tipOf(listed, [low, { by: lambda, ...raised }], own)).toMatchObject({ trustScore: 100 })
    await expectRefused(listen({}, own), headersOf(await chain({ by: hop1 })), 'ERR_KEST_DOMAIN')
  })

  it.each(['spiffe://Example.org/hop1', 'SPIFFE://example.org/hop1', 'spiffe:example.org', 'spiffe:///hop1'])(
    'K-DOMAIN accepts no principal %s, which is nearly a SPIFFE ID',
    async (id) => {
      const lookalike = workload(id)
      const own = { trust: [createKeySource({ [id]: [lookalike.jwk] })] }
      await expectRefused(listen({}, own), headersOf(await chain({ by: lookalike })), 'ERR_KEST_DOMAIN')
    },
  )

  it('K-DOMAIN follows the identity of the workload', async () => {
    let current = self.identity
    const identity: IdentityProvider = {
      getWorkloadId: () => current.getWorkloadId(),
      current: () => current.current(),
    }
    const listener = listen({}, { identity })
    const headers = headersOf(await chain({}))
    expect(await listener.receive({ headers: { ...headers } })).toBeDefined()
    current = partner.identity
    await expectRefused(listener, headers, 'ERR_KEST_DOMAIN')
  })
})

describe('K-IDENT', () => {
  const alice: Draft = { who: { user: 'alice', agent: 'web' } }
  const stated = { [LABEL.identityStated]: 'true' }

  it('F-IC-04 K-IDENT takes the identity that the tips inherit, and who stated it', async () => {
    const { identity } = await listen().receive({ headers: headersOf(await chain(alice, { by: hop2 })) })
    expect(identity).toEqual({ context: { user: 'alice', agent: 'web', task: null }, by: hop1.id })
  })

  it('K-IDENT accepts baggage that says the same, and refuses baggage that does not', async () => {
    const entries = await chain(alice)
    const told = headersOf(entries, { 'kest.user': 'alice', 'kest.agent': 'web' })
    expect((await listen().receive({ headers: told })).identity?.context.user).toBe('alice')
    for (const lie of [{ 'kest.user': 'mallory' }, { 'kest.agent': 'cli' }, { 'kest.task': 'admin' }]) {
      const error = await expectRefused(listen(), headersOf(entries, lie), 'ERR_KEST_IDENTITY_CONFLICT')
      expect(error.statusCode).toBe(403)
    }
    await expectRefused(
      listen(),
      headersOf(await chain({}), { 'kest.user': 'mallory' }),
      'ERR_KEST_IDENTITY_CONFLICT',
    )
  })

  it('K-IDENT refuses tips that disagree', async () => {
    const root = await entry(alice)
    const bob = await entry({ parents: [root], by: hop2, who: { user: 'bob' }, labels: stated })
    const entries = [root, await entry({ parents: [root] }), bob]
    const authorities = listen({ identityAuthorities: [hop1.id, hop2.id] })
    await expectRefused(authorities, headersOf(entries), 'ERR_KEST_IDENTITY_CONFLICT')
    // Also where one of them states what does not count: that is nobody, and not who the other is.
    await expectRefused(listen(), headersOf(entries), 'ERR_KEST_IDENTITY_CONFLICT')
  })

  it('K-SWITCH takes nobody from branches that disagreed and were joined, until an authority says', async () => {
    const root = await entry(alice)
    const bob = await entry({ parents: [root], by: hop2, who: { user: 'bob' }, labels: stated })
    const parents = [await entry({ parents: [root] }), bob]
    const authorities = listen({ identityAuthorities: [hop1.id, hop2.id] })
    const joined = [root, ...parents, await entry({ parents })]
    expect((await authorities.receive({ headers: headersOf(joined) })).identity).toBeNull()
    const carol: Draft = { parents, by: hop2, who: { user: 'carol' }, labels: stated }
    const settled = [root, ...parents, await entry(carol)]
    const { identity } = await authorities.receive({ headers: headersOf(settled) })
    expect(identity).toEqual({ context: { user: 'carol', agent: null, task: null }, by: hop2.id })
  })

  it('K-IDENT refuses tips of which one says and another does not', async () => {
    const root = await entry()
    const said = await entry({ parents: [root], ...alice, labels: stated })
    const entries = [root, said, await entry({ parents: [root] })]
    const listener = listen({ identityAuthorities: [hop1.id] })
    const error = await expectRefused(listener, headersOf(entries), 'ERR_KEST_IDENTITY_CONFLICT')
    expect(error).toMatchObject({ index: 2 })
  })

  it('K-IDENT refuses a root that states an identity and is of no authority, where no list says who may', async () => {
    const listener = listen({ identityAuthorities: [hop1.id] })
    const { identity } = await listener.receive({ headers: headersOf(await chain(alice, { by: hop2 })) })
    expect(identity).toMatchObject({ by: hop1.id })
    const repeated = await chain(alice, { by: hop2, ...alice })
    expect((await listener.receive({ headers: headersOf(repeated) })).identity).toMatchObject({ by: hop1.id })
    const headers = headersOf(await chain({ by: hop2, who: { user: 'bob' } }))
    expect(await expectRefused(listener, headers, 'ERR_KEST_IDENTITY_CONFLICT')).toMatchObject({ index: 0 })
    // Not even where an authority has spoken after it.
    const after = headersOf(await chain({ by: hop2, who: { user: 'bob' } }, { by: hop1, ...alice }))
    expect(await expectRefused(listener, after, 'ERR_KEST_IDENTITY_CONFLICT')).toMatchObject({ index: 0 })
  })

  it('K-DOMAIN refuses an identity stated in another trust domain unless the domain may', async () => {
    const headers = headersOf(await chain({ by: partner, ...alice }, {}))
    const granted = (more: object) => listen({ trustDomains: { 'partner.example': more } })
    await expectRefused(granted({}), headers, 'ERR_KEST_IDENTITY_CONFLICT')
    expect(
      (await granted({ identityAuthority: true }).receive({ headers: { ...headers } })).identity?.by,
    ).toBe(partner.id)
    const named = listen({ trustDomains: { 'partner.example': {} }, identityAuthorities: [partner.id] })
    expect((await named.receive({ headers: { ...headers } })).identity?.by).toBe(partner.id)
  })

  it('F-IC-05 K-IDENT takes the identity of a token where the lineage has none', async () => {
    const headers = { ...headersOf(await chain({})), authorization: await bearer() }
    const state = await listen({ token: tokens }).receive({ headers: { ...headers } })
    expect(state.identity).toEqual({ context: { user: 'alice', agent: null, task: null }, by: null })
    expect(state.jwt).toBe(headers.authorization.slice('Bearer '.length))
  })

  it('K-IDENT refuses a token that disagrees with the lineage unless the route switches identity', async () => {
    const headers = { ...headersOf(await chain(alice)), authorization: await bearer({ sub: 'bob' }) }
    const listener = listen({ token: tokens })
    await expectRefused(listener, headers, 'ERR_KEST_IDENTITY_CONFLICT')
    const { identity } = await listener.receive({ headers: { ...headers }, switchIdentity: true })
    expect(identity).toEqual({ context: { user: 'bob', agent: null, task: null }, by: null })
  })

  it('K-IDENT has the parts of lineage and token where they agree', async () => {
    const headers = { ...headersOf(await chain(alice)), authorization: await bearer({ scope: 'read' }) }
    const { identity } = await listen({ token: tokens }).receive({ headers: { ...headers } })
    expect(identity).toEqual({ context: { user: 'alice', agent: 'web', task: 'read' }, by: null })
  })
})

describe('what is left of the headers', () => {
  it('K-AMBIENT takes kest members out of the request, also where it refuses them', async () => {
    const headers: InboundHeaders = { ...headersOf(await chain({})), accept: '*/*' }
    headers['baggage'] = `theirs=1,${headers['baggage']}`
    await listen().receive({ headers })
    expect(headers).toEqual({ accept: '*/*', baggage: 'theirs=1' })
    const refused: InboundHeaders = { baggage: 'kest.passport=nonsense' }
    await expect(listen().receive({ headers: refused })).rejects.toThrow()
    expect(refused).toEqual({})
  })
})

describe('K-INGRESS modes', () => {
  it('K-INGRESS verifies the tips alone in mode tip, and says which are proven', async () => {
    const entries = await chain({ by: stranger }, { by: hop2 })
    await expectRefused(listen(), headersOf(entries), 'ERR_KEST_SIGNATURE')
    const { frame } = await listen({ mode: 'tip' }).receive({ headers: headersOf(entries) })
    expect(frame.lineage.entries().map(({ proven }) => proven)).toEqual([false, true])
    await expectRefused(
      listen({ mode: 'tip' }),
      headersOf(await chain({}, { by: stranger })),
      'ERR_KEST_SIGNATURE',
    )
  })

  it('K-INGRESS takes who acts from proven entries alone in mode tip', async () => {
    const forged = await chain({ by: stranger, who: { user: 'root' } }, { by: hop2 })
    const listener = listen({ mode: 'tip' })
    expect((await listener.receive({ headers: headersOf(forged) })).identity).toBeNull()
    // Baggage says no more than is signed, and counts for nothing.
    const told = headersOf(forged, { 'kest.user': 'root' })
    expect((await listener.receive({ headers: told })).identity).toBeNull()
    await expectRefused(listener, headersOf(forged, { 'kest.user': 'eve' }), 'ERR_KEST_IDENTITY_CONFLICT')
    const labels = { [LABEL.identityStated]: 'true' }
    const says = (user: string, more: Draft = {}): Draft => ({ who: { user }, ...more })
    const stated = await chain(says('root', { by: stranger }), says('alice', { by: hop2, labels }))
    const authorities = listen({ mode: 'tip', identityAuthorities: [hop2.id] })
    const { identity } = await authorities.receive({ headers: headersOf(stated) })
    expect(identity).toMatchObject({ context: { user: 'alice' }, by: hop2.id })
    expect((await listener.receive({ headers: headersOf(stated) })).identity).toBeNull()
    // Repeating what an unproven ancestor states is stating nothing.
    const repeated = await chain(says('root', { by: stranger }), says('root', { by: hop2 }))
    expect((await authorities.receive({ headers: headersOf(repeated) })).identity).toBeNull()
  })

  it('K-INGRESS believes nothing in mode off', async () => {
    const entries = await chain({ by: stranger, who: { user: 'root' } }, { by: stranger })
    const listener = listen({ mode: 'off' })
    const { frame, identity } = await listener.receive({
      headers: headersOf(entries, { 'kest.user': 'root' }),
    })
    expect(identity).toBeNull()
    expect(frame.lineage.tips).toMatchObject([
      { trustScore: 0, taints: ['unverified'], proven: false, identity: null },
    ])
    expect(logger.warn).toHaveBeenCalledWith(expect.anything(), expect.stringContaining('INSECURE'))
    expect(await listener.receive({ headers: headersOf(await chain({ by: partner })) })).toBeDefined()
    await expectRefused(listener, {}, 'ERR_KEST_LINEAGE_MISSING')
    await expectRefused(listener, { baggage: 'kest.passport=%7B' }, 'ERR_KEST_PASSPORT_MALFORMED')
  })

  it('K-INGRESS lets a token speak in mode off', async () => {
    const headers = { ...headersOf(await chain({ who: { user: 'root' } })), authorization: await bearer() }
    const { identity } = await listen({ mode: 'off', token: tokens }).receive({ headers: { ...headers } })
    expect(identity).toMatchObject({ context: { user: 'alice' }, by: null })
  })
})

describe('an edge', () => {
  const edge = { origin: 'user_input' }

  it('K-EDGE starts with an empty frame and its origin', async () => {
    const listener = listen(edge)
    const state = await listener.receive({ headers: {} })
    expect(listener.origin).toBe('user_input')
    expect(state).toMatchObject({ origin: 'user_input', identity: null, jwt: null, signal: null })
    expect(state.frame.lineage.length).toBe(0)
    expect(onStripped).not.toHaveBeenCalled()
  })

  it('K-EDGE removes and counts every kest.* member and keeps the others', async () => {
    const { baggage } = headersOf(await chain({ who: { user: 'root' } }), { 'kest.user': 'root' })
    const headers: InboundHeaders = { baggage: `tenant=7;p=1,${baggage},KEST.agent=x,kest%2Etask=y,other=ü%` }
    const state = await listen(edge).receive({ headers })
    expect(state.frame.lineage.length).toBe(0)
    expect(state.identity).toBeNull()
    expect(headers).toEqual({ baggage: 'tenant=7;p=1,other=ü%' })
    expect(onStripped).toHaveBeenCalledExactlyOnceWith(4)
    expect(onVerified).not.toHaveBeenCalled()
    expect(logger.warn).toHaveBeenCalledExactlyOnceWith(
      { removed: 4, origin: 'user_input' },
      expect.stringContaining('K-EDGE'),
    )
  })

  it('K-EDGE leaves no baggage header behind that holds nothing', async () => {
    const headers: InboundHeaders = { baggage: ['kest.user=root', 'kest.task=x'], host: 'a' }
    await listen(edge).receive({ headers })
    expect(headers).toEqual({ host: 'a' })
  })

  it('K-EDGE never looks a claim check up', async () => {
    const baggage = `kest.claim_check=9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d,kest.chain_tip=${'0'.repeat(64)}`
    await listen(edge).receive({ headers: { baggage } })
    expect(claims.get).not.toHaveBeenCalled()
  })

  it.each([
    'kest.passport=%ZZ',
    'kest.passport=[',
    'kest.',
    'kest.passport=1,kest.passport=2',
    'kest.jwt=a.b.c',
    ',;=,kest.user',
  ])('K-EDGE does not judge %j, which it removes', async (baggage) => {
    const headers: InboundHeaders = { baggage }
    expect((await listen(edge).receive({ headers })).frame.lineage.length).toBe(0)
    expect(headers.baggage ?? '').not.toMatch(/kest/)
    expect(onStripped).toHaveBeenCalledOnce()
  })

  it('F-IC-05 takes the identity of a token, and no other', async () => {
    const headers: InboundHeaders = { authorization: await bearer(), baggage: 'kest.user=mallory' }
    const state = await listen({ ...edge, token: tokens }).receive({ headers })
    expect(state).toMatchObject({ identity: { context: { user: 'alice' }, by: null }, origin: 'user_input' })
    expect(state.jwt).toBe((headers['authorization'] as string).slice(7))
  })

  it('F-IC-05 looks at no token unless told how to verify it', async () => {
    const state = await listen(edge).receive({ headers: { authorization: 'Bearer whatever' } })
    expect(state).toMatchObject({ identity: null, jwt: null })
  })

  it('refuses a second Authorization line that node:http hides', async () => {
    const authorization = await bearer()
    const rawHeaders = [
      'Authorization',
      authorization,
      'Host',
      'a',
      'AUTHORIZATION',
      await bearer({ sub: 'bob' }),
    ]
    const received = listen({ ...edge, token: tokens }).receive({ headers: { authorization }, rawHeaders })
    await expect(received).rejects.toMatchObject({ code: 'ERR_KEST_TOKEN' })
    const one = listen({ ...edge, token: tokens }).receive({
      headers: { authorization },
      rawHeaders: rawHeaders.slice(0, 4),
    })
    expect((await one).identity?.context.user).toBe('alice')
  })

  it('K-RESUME continues no passport', async () => {
    await expect(listen(edge).resume({ passport: [] })).rejects.toMatchObject({ code: 'ERR_KEST_CONFIG' })
  })
})

describe('K-RESUME', () => {
  it('K-RESUME verifies a kept passport again, with a maximal age of its own', async () => {
    const entries = await chain({ age: 86_400_000, who: { user: 'alice' } })
    const passport = entries.map(({ jws }) => jws)
    await expect(listen().resume({ passport })).rejects.toMatchObject({ code: 'ERR_KEST_FRESHNESS' })
    const worker = listen({ maxAgeMs: 7 * 86_400_000 })
    for (const kept of [passport, JSON.stringify(passport), new Passport(passport)]) {
      const state = await worker.resume({ passport: kept, tip: [entries[0]?.hash as string] })
      expect(state.frame.lineage.strings()).toEqual(passport)
      expect(state.identity).toMatchObject({ context: { user: 'alice' }, by: hop1.id })
    }
  })

  it('K-RESUME refuses a misspelled member, which would be a check left out', async () => {
    const entries = await chain({})
    const kept = { passport: entries.map(({ jws }) => jws), tips: [entries[0]?.hash] }
    await expect(listen().resume(kept as never)).rejects.toThrow(
      /resume: unknown option "tips"; there are: .*tip/,
    )
    await expect(listen().resume(new Passport(kept.passport) as never)).rejects.toThrow(/resume: /)
  })

  it('K-RESUME refuses what was changed, cut or lost while it was kept', async () => {
    const entries = await chain({}, {})
    const [root, tip] = entries.map(({ jws }) => jws) as [string, string]
    const worker = listen()
    const refused = (passport: unknown, code: KestErrorCode, tips?: string[]) =>
      expect(worker.resume({ passport, tip: tips })).rejects.toMatchObject({ code })
    await refused([tip], 'ERR_KEST_PARENT_UNKNOWN')
    await refused([root], 'ERR_KEST_TIP', [entries[1]?.hash as string])
    await refused([], 'ERR_KEST_LINEAGE_MISSING')
    await refused(undefined, 'ERR_KEST_PASSPORT_MALFORMED')
    await refused([7], 'ERR_KEST_PASSPORT_MALFORMED')
  })
})

describe('options of a listener', () => {
  it.each<[string, unknown, RegExp]>([
    ['null', null, /an object of options/],
    ['an unknown one', { orgin: 'internet' }, /unknown option "orgin"/],
    [
      'an origin that nobody declared',
      { origin: 'user-input' },
      /unknown origin "user-input"; there are: .*user_input/,
    ],
    ['an empty origin', { origin: '' }, /listener\.origin/],
    ['an origin that is no text', { origin: 7 }, /listener\.origin/],
    ['an unknown mode', { mode: 'fast' }, /listener\.mode/],
    ['an age that is none', { maxAgeMs: -1 }, /listener\.maxAgeMs/],
    ['an age without end', { maxAgeMs: Number.POSITIVE_INFINITY }, /listener\.maxAgeMs/],
    ['a lead that is none', { maxAheadMs: '60000' }, /listener\.maxAheadMs/],
    ['unknown traces', { traces: 'all' }, /listener\.traces/],
    ['unknown semantics', { semantics: 'ignore' }, /listener\.semantics/],
    ['raisers that are no list', { raisers: 'spiffe://example.org/a' }, /listener\.raisers/],
    ['authorities that are no principals', { identityAuthorities: [/a/] }, /listener\.identityAuthorities/],
    ['trust domains that are a list', { trustDomains: ['partner.example'] }, /listener\.trustDomains/],
    [
      'a trust domain that is a SPIFFE ID',
      { trustDomains: { 'spiffe://partner.example': {} } },
      /trust domain/,
    ],
    ['a pattern of trust domains', { trustDomains: { '*.example': {} } }, /trust domain/],
    ['the own trust domain', { trustDomains: { 'example.org': {} } }, /own trust domain/],
    ['a ceiling over 100', { trustDomains: { 'partner.example': { ceiling: 101 } } }, /ceiling/],
    ['a ceiling that is no integer', { trustDomains: { 'partner.example': { ceiling: 0.5 } } }, /ceiling/],
    ['an unknown grant', { trustDomains: { 'partner.example': { raise: true } } }, /unknown option "raise"/],
    ['a grant that is no boolean', { trustDomains: { 'partner.example': { raiser: 'yes' } } }, /raiser/],
    ['token options that are wrong', { token: { jwks: { keys: [] } } }, /token\./],
    ['lineage at an edge', { origin: 'internet', acceptLineage: true }, /K-EDGE.*K-HOP/],
    ['acceptLineage where lineage is taken anyway', { acceptLineage: true }, /internal/],
    ['a mode at an edge', { origin: 'internet', mode: 'off' }, /listener\.mode: means nothing/],
    ['a binding at an edge', { origin: 'internet', binding: 'mtls' }, /listener\.binding: means nothing/],
    ['an unknown binding', { binding: 'token' }, /listener\.binding/],
    ['a binding of nobody', { binding: 'mtls', mode: 'off' }, /listener\.binding: means nothing/],
    ['relays without a binding', { relays: [self.id] }, /listener\.relays: means nothing/],
    ['relays that are no list', { binding: 'mtls', relays: self.id }, /listener\.relays/],
    ['audiences of connections', { binding: 'mtls', audiences: ['https://a'] }, /audiences: means nothing/],
    ['hop tokens for nobody', { binding: 'hop' }, /listener\.audiences: .*needs them/],
    ['hop tokens for no origin', { binding: 'hop', audiences: [] }, /listener\.audiences: .*needs them/],
    ['an audience with a path', { binding: 'hop', audiences: ['https://a.test/x'] }, /listener\.audiences/],
    ['a pattern of audiences', { binding: 'hop', audiences: ['https://*.a.test'] }, /listener\.audiences/],
    ['a skew that is none', { ...HOP, clockSkewMs: -1 }, /listener\.clockSkewMs/],
    ['a skew without end', { ...HOP, clockSkewMs: 60_001 }, /listener\.clockSkewMs/],
    ['a replay store that is none', { ...HOP, replayStore: new Map() }, /listener\.replayStore/],
  ])('refuse %s', (_, options, because) => {
    expect(() => createListener(deps(), options as ListenerOptions)).toThrow(because)
    expect(() => createListener(deps(), options as ListenerOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
    )
  })

  it('NF-SEC-02 refuse to verify without trust material', () => {
    expect(() => createListener(deps({ trust: [] }))).toThrow(/needs trust material/)
    expect(() => createListener(deps({ trust: [] }), { origin: 'internet' })).not.toThrow()
    expect(() => createListener(deps({ trust: [] }), { mode: 'off' })).not.toThrow()
  })
})

/** A token issuer with a throw-away key. */
const issuerKey = generateKeyPairSync('ed25519')
const tokens = {
  jwks: issuerKey.publicKey,
  issuer: 'https://id.example.org',
  audience: 'https://orders.example.org',
} as const

function bearer(claims: Readonly<Record<string, string>> = {}): Promise<string> {
  return new SignJWT({
    iss: tokens.issuer,
    aud: tokens.audience,
    sub: 'alice',
    exp: NOW / 1000 + 60,
    ...claims,
  })
    .setProtectedHeader({ alg: 'EdDSA' })
    .sign(issuerKey.privateKey)
    .then((jwt) => `Bearer ${jwt}`)
}

describe('the log', () => {
  const refused = async (listener: Listener, headers: InboundHeaders, times = 1) => {
    for (let i = 0; i < times; i++) await refusal(listener, headers)
  }

  beforeEach(() => {
    for (const level of Object.values(logger)) level.mockClear()
  })

  it('says what a token must be, and nothing of what it was', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const jwt = await new SignJWT({
      iss: 'https://evil.test',
      aud: 'secret-audience',
      sub: 'alice-secret',
      exp: NOW,
    })
      .setProtectedHeader({ alg: 'EdDSA' })
      .sign(privateKey)
    const token = {
      jwks: publicKey,
      issuer: 'https://id.test',
      audience: 'orders',
      algorithms: ['EdDSA'],
    } as const
    await refused(listen({ origin: 'internet', token }), { authorization: `Bearer ${jwt}` })
    const [details, message] = logger.warn.mock.lastCall as [Record<string, unknown>, string]
    expect(message).toBe('inbound request refused')
    expect(details).toMatchObject({
      code: 'ERR_KEST_TOKEN',
      err: expect.stringContaining('"iss"'),
      expected: { issuer: ['https://id.test'], audience: ['orders'], algorithms: ['EdDSA'] },
    })
    expect(JSON.stringify(details)).not.toMatch(/evil|secret|eyJ/)
  })

  it('names where the keys of tokens come from, and has one error for them, however many requests need them', async () => {
    const jwks = 'http://127.0.0.1:1/keys?secret=1'
    const token = { jwks, issuer: 'https://id.test', audience: 'orders', jwksCooldownMs: 0 }
    const listener = listen({ origin: 'internet', token })
    const header = Buffer.from(JSON.stringify({ alg: 'EdDSA', kid: 'k' })).toString('base64url')
    await refused(listener, { authorization: `Bearer ${header}.e30.AAAA` }, 20)
    expect(logger.error).toHaveBeenCalledExactlyOnceWith(
      expect.objectContaining({ code: 'ERR_KEST_KEYS_UNAVAILABLE', asked: 'bearer token' }),
      'what gives keys and trust bundles fails: what needs it is refused',
    )
    await refused(listener, { authorization: 'Bearer x' })
    const [details] = logger.warn.mock.lastCall as [Record<string, unknown>]
    expect(details['expected']).toMatchObject({ keys: 'http://127.0.0.1:1/keys' })
  })

  it('has some lines for any number of strangers, and none is longer for what they send', async () => {
    const listener = listen()
    for (let i = 0; i < 300; i++) {
      await refused(listener, { baggage: `Kest.${i}${'\u0001'.repeat(2_000)}=1` })
      await refused(listener, {})
    }
    expect(logger.warn.mock.calls.filter(([{ code }]) => code !== undefined)).toHaveLength(20)
    for (const [details] of logger.warn.mock.calls) expect(JSON.stringify(details).length).toBeLessThan(2_500)
  })

  it('has some lines for any number of members that an edge removes', async () => {
    const listener = listen({ origin: 'internet' })
    for (let i = 0; i < 300; i++) await listener.receive({ headers: { baggage: `kest.user=${i}` } })
    expect(logger.warn).toHaveBeenCalledTimes(10)
  })
})
