import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { bodyDigest } from '../binding/message-token.js'
import { LABEL } from '../entry/entry.js'
import type { KeyIdentity } from '../identity/key-identity.js'
import { createKeySource } from '../identity/keys.js'
import { MEMBER } from '../propagation/baggage-names.js'
import { MemoryCache } from '../propagation/memory-cache.js'
import {
  inbound,
  MessageWorld,
  ORDERS,
  PAYMENTS,
  refusal,
  type SentMessage,
} from '../testing/message-world.js'

const HOUR = 3_600_000
const BOUND = { binding: 'message' } as const

function memberOf({ headers }: SentMessage, key: string): string {
  const found = headers['baggage']?.split(',').find((text) => text.startsWith(`${key}=`))
  if (found === undefined) throw new Error(`no ${key}`)
  return found.slice(key.length + 1)
}

/** With another token, or none. */
function withToken({ headers, body }: SentMessage, token: string | null): SentMessage {
  const others = (headers['baggage'] ?? '')
    .split(',')
    .filter((text) => !text.startsWith(`${MEMBER.message}=`))
  return {
    headers: { baggage: [...others, ...(token === null ? [] : [`${MEMBER.message}=${token}`])].join(',') },
    body,
  }
}

function claimsIn(sent: SentMessage): Record<string, unknown> {
  const [, payload] = memberOf(sent, MEMBER.message).split('.')
  return JSON.parse(Buffer.from(payload as string, 'base64url').toString())
}

/** A token of any content, signed in earnest. */
function tokenOf(identity: KeyIdentity, claims: unknown, header: object = {}): string {
  const { header: own, sign } = identity.current()
  const text = typeof claims === 'string' ? claims : JSON.stringify(claims)
  const encode = (value: string) => Buffer.from(value).toString('base64url')
  const input = `${encode(JSON.stringify({ ...own, typ: 'kest-message', ...header }))}.${encode(text)}`
  return `${input}.${Buffer.from(sign(Buffer.from(input)) as Uint8Array).toString('base64url')}`
}

describe('a message token', () => {
  it('K-MESSAGE binds a passport to a body, a topic and a time, and names the message', async () => {
    const world = new MessageWorld()
    const state = await world.request()
    const sent = await world.send('hello', { state, options: BOUND })
    const iat = world.clock.now() / 1000
    expect(claimsIn(sent)).toEqual({
      aud: ORDERS,
      digest: 'sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:',
      exp: iat + 86_400,
      iat,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      tips: state.frame.lineage.tips.map(({ hash }) => hash),
    })
    const delivery = await world.reader(BOUND).receive(inbound(sent))
    expect(delivery.messageId).toBe(claimsIn(sent)['jti'])
    expect(delivery.entry.entry.labels[LABEL.message]).toBe(delivery.messageId)
  })

  it('K-MESSAGE is another one for each message, of the same passport too', async () => {
    const world = new MessageWorld()
    const state = await world.request()
    const [one, other] = [
      await world.send('x', { state, options: BOUND }),
      await world.send('x', { state, options: BOUND }),
    ]
    expect(claimsIn(one)['jti']).not.toBe(claimsIn(other)['jti'])
  })

  it('K-MESSAGE is signed for nobody who does not get the passport', async () => {
    const world = new MessageWorld()
    const sent = await world.send('x', { to: PAYMENTS, options: { ...BOUND, propagateTo: [ORDERS] } })
    expect(sent.headers).toEqual({})
  })

  it('K-MESSAGE is sent from an edge, whose own messages bring none', async () => {
    const world = new MessageWorld()
    const edge = world.gateway.messages({
      ...BOUND,
      operation: { policy: 'test' },
      origin: 'internet',
      propagateTo: [ORDERS],
      maxAgeMs: HOUR,
    })
    const delivery = await edge.receive({ headers: {}, body: 'x', from: 'kafka://outside/in' })
    const headers = await delivery.run(() => edge.send({ headers: {}, body: 'x', to: ORDERS }))
    await expect(world.reader(BOUND).receive(inbound({ headers, body: 'x' }))).resolves.toBeDefined()
    expect(claimsIn({ headers, body: 'x' })['exp']).toBe(world.clock.now() / 1000 + 3600)
  })

  it('K-TIPS has the digest of the tips where a list of them has no room', async () => {
    const world = new MessageWorld()
    const state = await world.request()
    const steps = Array.from({ length: 12 }, () =>
      world.gateway.run(state, () =>
        world.gateway.verified({ operation: 'step', policy: 'test' }, () => 1)(),
      ),
    )
    await Promise.all(steps)
    const gateway = world.kestOf(world.gatewayIdentity, {
      propagation: { maxMemberLength: 1000, maxHeaderLength: 65_536 },
      cache: new MemoryCache({ clock: world.clock }),
    })
    const messages = gateway.messages({ ...BOUND, propagateTo: [ORDERS] })
    const headers = await messages.send({
      headers: {} as Record<string, string>,
      body: 'x',
      to: ORDERS,
      state,
    })
    expect(claimsIn({ headers, body: 'x' })['tips']).toMatch(/^~[0-9a-f]{64}$/)
  })
})

describe('what an administrator of the broker can do, with binding "message"', () => {
  it.each([
    ['another body', (sent: SentMessage) => inbound({ ...sent, body: 'swapped' })],
    ['no body', (sent: SentMessage) => inbound(sent, { body: null })],
    ['an empty body', (sent: SentMessage) => inbound(sent, { body: '' })],
    ['another topic', (sent: SentMessage) => inbound(sent, { from: PAYMENTS })],
    [
      'the topic of that name in another cluster',
      (sent: SentMessage) => inbound(sent, { from: 'kafka://test/orders' }),
    ],
    ['no token', (sent: SentMessage) => inbound(withToken(sent, null))],
  ])('K-MESSAGE refuses a passport that was moved to %s', async (_, moved) => {
    const world = new MessageWorld()
    const sent = await world.send('the body', { options: BOUND })
    expect(await refusal(world.reader(BOUND).receive(moved(sent)))).toBe('ERR_KEST_BINDING')
    await expect(world.reader(BOUND).receive(inbound(sent))).resolves.toBeDefined()
  })

  it('K-MESSAGE refuses a passport with the token of another message', async () => {
    const world = new MessageWorld()
    const [one, other] = [
      await world.send('1', { options: BOUND }),
      await world.send('1', { options: BOUND }),
    ]
    const mixed = withToken(one, memberOf(other, MEMBER.message))
    expect(await refusal(world.reader(BOUND).receive(inbound(mixed)))).toBe('ERR_KEST_BINDING')
  })

  it('K-MESSAGE refuses what is injected without lineage, and with that of a request', async () => {
    const world = new MessageWorld()
    const reader = world.reader(BOUND)
    expect(await refusal(reader.receive({ headers: {}, body: 'x', from: ORDERS }))).toBe(
      'ERR_KEST_LINEAGE_MISSING',
    )
    const state = await world.request()
    const headers = await world.gateway.inject({} as Record<string, string>, 'https://orders.test', {
      state,
      hop: true,
    })
    expect(await refusal(reader.receive({ headers, body: 'x', from: ORDERS }))).toBe('ERR_KEST_BINDING')
  })

  it('K-MESSAGE refuses one that is delivered after its time, by whichever of the two is shorter', async () => {
    const world = new MessageWorld()
    const long = await world.send('x', { options: BOUND })
    const short = await world.send('x', { options: { ...BOUND, maxAgeMs: HOUR } })
    const patient = world.reader({ ...BOUND, maxAgeMs: 48 * HOUR })
    world.clock.advance(HOUR + 5000)
    expect(await refusal(patient.receive(inbound(short)))).toBe('ERR_KEST_BINDING')
    expect(await refusal(world.reader({ ...BOUND, maxAgeMs: HOUR }).receive(inbound(long)))).toBe(
      'ERR_KEST_BINDING',
    )
    await expect(patient.receive(inbound(long))).resolves.toBeDefined()
    world.clock.advance(23 * HOUR)
    expect(await refusal(patient.receive(inbound(long)))).toBe('ERR_KEST_BINDING')
  })

  it('K-MESSAGE finds out who replays one in time, by the label that both entries have', async () => {
    const world = new MessageWorld()
    const sent = await world.send('x', { options: BOUND })
    const reader = world.reader(BOUND)
    const [one, other] = [await reader.receive(inbound(sent)), await reader.receive(inbound(sent))]
    expect(one.entry.entry.labels[LABEL.message]).toBe(other.entry.entry.labels[LABEL.message])
  })
})

describe('a message token that was made up', () => {
  async function underWay() {
    const world = new MessageWorld()
    const sent = await world.send('x', { options: BOUND })
    return { world, sent, claims: claimsIn(sent), reader: world.reader(BOUND) }
  }

  it.each([
    ['for another audience', { aud: PAYMENTS }],
    ['for other tips', { tips: ['0'.repeat(64)] }],
    ['for another body', { digest: bodyDigest('y') }],
    ['without a digest', { digest: undefined }],
    ['with a digest of another algorithm', { digest: 'sha-512=:AAAA:' }],
    ['with a digest in another spelling', { digest: String(bodyDigest('x')).replace('=:', ':') }],
    ['that expires before it was made', { exp: 0 }],
    ['of the future', { iat: Date.UTC(2030, 0, 1) / 1000 + 3600, exp: Date.UTC(2030, 0, 1) / 1000 + 7200 }],
    ['of before what it is for', { iat: Date.UTC(2030, 0, 1) / 1000 - 60 }],
    ['with an id that is none', { jti: 'a b' }],
    ['without tips', { tips: [] }],
  ])('K-MESSAGE is refused %s', async (_, change) => {
    const { world, sent, claims, reader } = await underWay()
    const token = tokenOf(world.gatewayIdentity, { ...claims, ...change })
    expect(await refusal(reader.receive(inbound(withToken(sent, token))))).toBe('ERR_KEST_BINDING')
  })

  it('K-MESSAGE is refused when its signer is no tip’s principal, unless he is a relay', async () => {
    const { world, sent, claims, reader } = await underWay()
    const stolen = inbound(withToken(sent, tokenOf(world.thiefIdentity, claims)))
    expect(await refusal(reader.receive(stolen))).toBe('ERR_KEST_BINDING')
    const relays = [world.thiefIdentity.getWorkloadId()]
    await expect(world.reader({ ...BOUND, relays }).receive(stolen)).resolves.toBeDefined()
  })

  it.each([['kest-hop'], ['JWS'], ['kest-denial']])(
    'K-MESSAGE is refused as a JWS of another kind: %s',
    async (typ) => {
      const { world, sent, claims, reader } = await underWay()
      const token = tokenOf(world.gatewayIdentity, claims, { typ })
      expect(await refusal(reader.receive(inbound(withToken(sent, token))))).toBe('ERR_KEST_BINDING')
    },
  )

  it('K-MESSAGE is no hop token', async () => {
    const { world, sent } = await underWay()
    const listener = world.orders.listener({ binding: 'hop', audiences: ['https://orders.test'] })
    const baggage = (sent.headers['baggage'] as string).replace(`${MEMBER.message}=`, `${MEMBER.hop}=`)
    expect(await refusal(listener.receive({ headers: { baggage } }))).toBe('ERR_KEST_BINDING')
  })

  it.each([
    ['a member twice', (text: string) => text.replace('{', '{"aud":"x",')],
    ['no object', () => '[]'],
  ])('K-STRICT is refused with %s', async (_, change) => {
    const { world, sent, claims, reader } = await underWay()
    const token = tokenOf(world.gatewayIdentity, change(JSON.stringify(claims)))
    expect(await refusal(reader.receive(inbound(withToken(sent, token))))).toBe('ERR_KEST_BINDING')
  })
})

describe('the keys of a sender', () => {
  it('K-MESSAGE are asked for as of when the message was sent', async () => {
    const world = new MessageWorld()
    const sent = await world.send('x', { options: BOUND })
    const sentAt = world.clock.now()
    world.clock.advance(20 * HOUR)
    const keys = createKeySource({
      [world.gatewayIdentity.getWorkloadId()]: [world.gatewayIdentity.getPublicJwk()],
    })
    const times: number[] = []
    const trust = {
      name: 'keys',
      kind: 'keys' as const,
      generation: 0,
      find: (query: Parameters<typeof keys.find>[0]) => {
        times.push(query.time)
        return keys.find(query)
      },
    }
    await world.reader(BOUND, world.kestOf(world.ordersIdentity, { trust })).receive(inbound(sent))
    expect(new Set(times)).toEqual(new Set([sentAt]))
  })
})

describe('a replay store', () => {
  const later = { delivery: { redelivered: true } }

  it('K-MESSAGE refuses a repeat that the broker does not mark as redelivered', async () => {
    const world = new MessageWorld()
    const sent = await world.send('x', { options: BOUND })
    const replayStore = new MemoryCache({ clock: world.clock })
    const readers = [
      world.reader({ ...BOUND, replayStore }),
      world.reader({ ...BOUND, replayStore }),
    ] as const
    await readers[0].receive(inbound(sent))
    expect(await refusal(readers[1].receive(inbound(sent)))).toBe('ERR_KEST_BINDING')
    expect(await refusal(readers[1].receive(inbound(sent, { delivery: { count: 1 } })))).toBe(
      'ERR_KEST_BINDING',
    )
    await expect(readers[1].receive(inbound(sent, later))).resolves.toBeDefined()
    await expect(readers[1].receive(inbound(sent, { delivery: { count: 2 } }))).resolves.toBeDefined()
  })

  it('K-MESSAGE knows a redelivery by its place, where the broker names it, and nothing else then', async () => {
    const world = new MessageWorld()
    const sent = await world.send('x', { options: BOUND })
    const reader = world.reader({ ...BOUND, replayStore: new MemoryCache({ clock: world.clock }) })
    const at = (id: string) => inbound(sent, { delivery: { id, redelivered: true } })
    await reader.receive(at('0:17'))
    await expect(reader.receive(at('0:17'))).resolves.toBeDefined()
    expect(await refusal(reader.receive(at('0:99')))).toBe('ERR_KEST_BINDING')
    expect(await refusal(reader.receive(at('0:99')))).toBe('ERR_KEST_BINDING')
    await expect(reader.receive(at('0:17'))).resolves.toBeDefined()
  })

  it('K-MESSAGE remembers as long as the token is good', async () => {
    const world = new MessageWorld()
    const sent = await world.send('x', { options: BOUND })
    const reader = world.reader({ ...BOUND, replayStore: new MemoryCache({ clock: world.clock }) })
    await reader.receive(inbound(sent))
    world.clock.advance(24 * HOUR - 1)
    expect(await refusal(reader.receive(inbound(sent)))).toBe('ERR_KEST_BINDING')
  })

  it('K-MESSAGE is not filled by who may not send here', async () => {
    const world = new MessageWorld()
    const sent = await world.send('x', { options: BOUND })
    const stolen = withToken(sent, tokenOf(world.thiefIdentity, claimsIn(sent)))
    const reader = world.reader({ ...BOUND, replayStore: new MemoryCache({ clock: world.clock }) })
    expect(await refusal(reader.receive(inbound(stolen)))).toBe('ERR_KEST_BINDING')
    await expect(reader.receive(inbound(sent))).resolves.toBeDefined()
  })

  it.each([
    ['fails', { get: () => null, setIfAbsent: () => Promise.reject(new Error('down')) }],
    [
      'fails when it is asked where',
      { get: () => Promise.reject(new Error('down')), setIfAbsent: () => false },
    ],
    ['answers nonsense', { get: () => 7 as never, setIfAbsent: () => false }],
  ])('K-MESSAGE cannot say when it %s', async (_, replayStore) => {
    const world = new MessageWorld()
    const sent = await world.send('x', { options: BOUND })
    const message = inbound(sent, { delivery: { id: randomUUID() } })
    expect(await refusal(world.reader({ ...BOUND, replayStore }).receive(message))).toBe('ERR_KEST_CACHE')
  })
})

describe('without a binding', () => {
  it('K-MESSAGE signs no name of a message that nobody has verified', async () => {
    const world = new MessageWorld()
    const sent = await world.send('x', { options: BOUND })
    const delivery = await world.reader().receive(inbound({ ...sent, body: 'swapped' }))
    expect(delivery.messageId).toBeNull()
    expect(delivery.entry.entry.labels).not.toHaveProperty(LABEL.message)
  })

  it.each([
    ['moved to another topic', { from: PAYMENTS }],
    ['given another body', { body: 'swapped' }],
    ['delivered again', {}],
  ])('K-DECLARED a fresh passport is accepted when it is %s', async (_, more) => {
    const world = new MessageWorld()
    const sent = await world.send('x')
    const reader = world.reader()
    await reader.receive(inbound(sent))
    await expect(reader.receive(inbound(sent, more))).resolves.toBeDefined()
  })
})

describe('options of messages', () => {
  it('K-EDGE lets an edge take lineage of a partner whose messages are bound', async () => {
    const world = new MessageWorld()
    const options = { origin: 'internet', acceptLineage: true }
    expect(() => world.reader(options)).toThrow('acceptLineage')
    const reader = world.reader({ ...BOUND, ...options })
    await expect(reader.receive(inbound(await world.send('x', { options: BOUND })))).resolves.toBeDefined()
    expect(await refusal(reader.receive(inbound(await world.send('x'))))).toBe('ERR_KEST_BINDING')
    const { entry } = await reader.receive({ headers: {}, body: 'x', from: ORDERS })
    expect(entry.entry.parent_ids).toEqual(['0'])
  })

  it('K-MESSAGE knows a queue by what feeds it', async () => {
    const world = new MessageWorld()
    const sent = await world.send('x', { options: BOUND })
    const message = inbound(sent, { from: 'sqs://main/orders-worker' })
    expect(await refusal(world.reader(BOUND).receive(message))).toBe('ERR_KEST_BINDING')
    await expect(world.reader({ ...BOUND, audiences: [ORDERS] }).receive(message)).resolves.toBeDefined()
  })

  it.each([
    ['an unknown one', { polices: 'x' }],
    ['a binding of requests', { binding: 'hop' }],
    ['a replay store without a binding', { replayStore: new MemoryCache() }],
    ['audiences without a binding', { audiences: [ORDERS] }],
    ['a replay store that cannot be asked', { ...BOUND, replayStore: { setIfAbsent: () => true } }],
    ['audiences that are no list', { ...BOUND, audiences: ORDERS }],
    ['relays that are no list', { ...BOUND, relays: [''] }],
    ['clocks that differ by hours', { ...BOUND, clockSkewMs: HOUR }],
    ['an age that is none', { maxAgeMs: 0 }],
    ['an age that is none, at an edge', { origin: 'internet', maxAgeMs: -1 }],
    ['a rule of lineage at an edge', { origin: 'internet', maxLineageAgeMs: 1 }],
    ['a scope that is none', { propagateTo: 'orders' }],
    ['an operation without a policy', { operation: {} }],
    ['an operation with a name', { operation: { policy: 'test', operation: 'mine' } }],
    ['an origin without a score', { operation: { policy: 'test', origin: 'nowhere' } }],
    ['names of places that are no function', { operation: { policy: 'test' }, pattern: 'orders' }],
    ['names of places without an operation', { pattern: (from: string) => from }],
    ['a batch without an operation', { batch: { policy: 'test' } }],
    [
      'somebody who acts in a batch',
      { operation: { policy: 'test' }, batch: { policy: 'test', user: 'alice' } },
    ],
  ])('are refused when they have %s', (_, options) => {
    const world = new MessageWorld()
    expect(() => world.orders.messages(options as never)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_CONFIG' }),
    )
  })

  it('are refused when there is nobody to sign what is to be bound, or nothing to check it by', () => {
    const world = new MessageWorld()
    const anonymous = world.kestOf(world.ordersIdentity, { identity: undefined as never })
    expect(() => anonymous.messages({ ...BOUND, propagateTo: [ORDERS] })).toThrow('no identity')
    expect(() => world.reader({}, world.kestOf(world.ordersIdentity, { trust: [] }))).toThrow(
      'trust material',
    )
  })

  it('say so where messages are received and no operation was given', async () => {
    const world = new MessageWorld()
    const messages = world.orders.messages({})
    expect(await refusal(messages.receive(inbound(await world.send())))).toBe('ERR_KEST_CONFIG')
  })
})
