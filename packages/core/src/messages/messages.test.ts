import { context, propagation } from '@opentelemetry/api'
import { describe, expect, it } from 'vitest'
import { currentState } from '../context/state.js'
import { LABEL } from '../entry/entry.js'
import { MemoryCache } from '../propagation/memory-cache.js'
import { inbound, MessageWorld, ORDERS, PAYMENTS, refusal } from '../testing/message-world.js'
import { dispositionOf } from './disposition.js'

const HOUR = 3_600_000

describe('sending a message', () => {
  it('K-MESSAGE puts the passport on messages to those that are told of', async () => {
    const world = new MessageWorld()
    const state = await world.request()
    const { headers } = await world.send('x', { state })
    const delivery = await world.reader().receive(inbound({ headers, body: 'x' }))
    expect(delivery.entry.entry.parent_ids).toEqual(state.frame.lineage.tips.map(({ hash }) => hash))
  })

  it.each([
    ['an object, whatever the case of its names', { Baggage: 'kest.user=mallory,theirs=1', 'x-id': '7' }],
    ['an object of bytes', { baggage: Buffer.from('kest.user=mallory,theirs=1'), 'x-id': '7' }],
    ['a Map', new Map([['BAGGAGE', 'kest.user=mallory,theirs=1']])],
    [
      'pairs',
      [['baggage', 'kest.user=mallory'] as [string, string], ['baggage', 'theirs=1'] as [string, string]],
    ],
    ['a flat list', ['x-id', '7', 'baggage', 'kest.passport=%5B%5D,theirs=1']],
  ])('K-CARRIER gives strangers no kest.* member, and takes out what is there: %s', async (_, headers) => {
    const world = new MessageWorld()
    const messages = world.gateway.messages({ propagateTo: [ORDERS] })
    const state = await world.request()
    await messages.send({ headers, body: null, to: PAYMENTS, state })
    const text = JSON.stringify(headers instanceof Map ? [...headers] : headers)
    expect(text).not.toContain('kest.')
    expect(text).toContain('theirs=1')
  })

  it('K-SCOPE asks the function that says who gets the passport, and takes no promise for a yes', async () => {
    const world = new MessageWorld()
    const state = await world.request()
    const send = (propagateTo: (to: string) => boolean) =>
      world.gateway.messages({ propagateTo }).send({ headers: {}, body: '', to: ORDERS, state })
    expect(await send((to) => to === ORDERS)).toHaveProperty('baggage')
    expect(await send((to) => to === PAYMENTS)).toEqual({})
    expect(await refusal(send((async () => true) as never))).toBe('ERR_KEST_OUTBOUND')
    expect(
      await refusal(
        send(() => {
          throw new Error('no')
        }),
      ),
    ).toBe('ERR_KEST_OUTBOUND')
  })

  it('K-STATE sends nothing of a request that is over', async () => {
    const world = new MessageWorld()
    const state = await world.request()
    world.gateway.end(state)
    expect(await refusal(world.send('x', { state }))).toBe('ERR_KEST_STATE_ENDED')
  })

  it('K-CLAIM keeps what a message stands for as long as the message is good', async () => {
    const world = new MessageWorld()
    const cache = new MemoryCache({ clock: world.clock })
    const options = { cache, propagation: { maxHeaderLength: 900 } }
    const gateway = world.kestOf(world.gatewayIdentity, options)
    const { state } = await gateway.begin(
      { operation: 'GET /', policy: 'test', origin: 'system' },
      { state: null },
    )
    // One of a request, which does not last as long, was made of the same lineage before.
    await gateway.inject({}, 'https://orders.test', { state })
    const messages = gateway.messages({ propagateTo: [ORDERS] })
    const headers = await messages.send({
      headers: {} as Record<string, string>,
      body: 'x',
      to: ORDERS,
      state,
    })
    expect(headers['baggage']).toContain('kest.claim_check=')
    world.clock.advance(23 * HOUR)
    const reader = world.reader({}, world.kestOf(world.ordersIdentity, { cache }))
    await expect(reader.receive(inbound({ headers, body: 'x' }))).resolves.toBeDefined()
  })

  it.each([
    ['to', { headers: {}, body: 'x', to: '' }],
    ['body', { headers: {}, body: { order: 1 } as never, to: ORDERS }],
    ['headers', { headers: 'baggage' as never, body: 'x', to: ORDERS }],
  ])('refuses a message whose %s has not the form', async (_, message) => {
    const world = new MessageWorld()
    const messages = world.gateway.messages({ propagateTo: [ORDERS] })
    expect(await refusal(messages.send({ ...message, state: await world.request() }))).toBe('ERR_KEST_CONFIG')
  })
})

describe('receiving a message', () => {
  it('K-MESSAGE handles each delivery in an operation with an entry of its own', async () => {
    const world = new MessageWorld()
    const sent = await world.send()
    const reader = world.reader()
    const first = await reader.receive(inbound(sent, { delivery: { count: 1 } }))
    const second = await reader.receive(inbound(sent, { delivery: { count: 2, id: '0:17' } }))
    expect(first.entry.entry.operation).toBe('receive kafka://main/orders')
    expect(first.entry.hash).not.toBe(second.entry.hash)
    expect(first.entry.entry.parent_ids).toEqual(second.entry.entry.parent_ids)
    expect(first.entry.entry.labels).toMatchObject({ [LABEL.delivery]: '1' })
    expect(second.entry.entry.labels).toMatchObject({ [LABEL.delivery]: '2', [LABEL.place]: '0:17' })
    expect(first.entry.entry.labels).not.toHaveProperty(LABEL.place)
    expect(first.messageId).toBeNull()
  })

  it('K-MESSAGE records the message in the entry of its delivery, and in none within', async () => {
    const world = new MessageWorld()
    const sent = await world.send()
    const delivery = await world.reader().receive(inbound(sent, { delivery: { count: 3 } }))
    const inner = await delivery.run(() =>
      world.orders.begin({ operation: 'inner', policy: 'test' }).then(({ entry }) => entry),
    )
    expect(inner.entry.parent_ids).toEqual([delivery.entry.hash])
    expect(inner.entry.labels).not.toHaveProperty(LABEL.delivery)
  })

  it('K-STATE runs the handler in the state of its message, whatever is ambient, and ends it after', async () => {
    const world = new MessageWorld()
    const [one, other] = [await world.send('1'), await world.send('2')]
    const reader = world.reader()
    const ambient = await reader.receive(inbound(one))
    const delivery = await reader.receive(inbound(other))
    await world.orders.run(ambient.state, () =>
      delivery.run(() => {
        expect(currentState()).toBe(delivery.state)
      }),
    )
    expect(delivery.state.lifetime.ended).toBe(true)
    expect(ambient.state.lifetime.ended).toBe(false)
    ambient.end()
    expect(ambient.state.lifetime.ended).toBe(true)
    await expect(delivery.run(() => undefined)).rejects.toThrow(TypeError)
  })

  it('K-STATE hands on unchanged what a handler throws, and ends its state', async () => {
    const world = new MessageWorld()
    const delivery = await world.reader().receive(inbound(await world.send()))
    const failure = new Error('the handler failed')
    await expect(
      delivery.run(() => {
        throw failure
      }),
    ).rejects.toBe(failure)
    expect(delivery.state.lifetime.ended).toBe(true)
  })

  it('K-AMBIENT runs the handler without kest.* in the Baggage of OpenTelemetry', async () => {
    const world = new MessageWorld()
    const delivery = await world.reader().receive(inbound(await world.send()))
    const baggage = propagation.createBaggage({ 'kest.user': { value: 'mallory' }, theirs: { value: '1' } })
    const seen = await context.with(propagation.setBaggage(context.active(), baggage), () =>
      delivery.run(() => propagation.getBaggage(context.active())?.getAllEntries() ?? []),
    )
    expect(seen.map(([key]) => key)).not.toContain('kest.user')
  })

  it.each([
    ['text', (value: string) => value],
    ['a Buffer', (value: string) => Buffer.from(value)],
    ['bytes', (value: string) => new Uint8Array(Buffer.from(value))],
    ['a list', (value: string) => [value]],
    ['the same twice', (value: string) => [Buffer.from(value), value]],
  ])('K-CARRIER reads what a value is: %s', async (_, as) => {
    const world = new MessageWorld()
    const { headers, body } = await world.send()
    const message = { headers: { Baggage: as(headers['baggage'] as string) }, body, from: ORDERS }
    await expect(world.reader().receive(message)).resolves.toBeDefined()
    // The application's own is not changed.
    expect(message.headers.Baggage).toEqual(as(headers['baggage'] as string))
  })

  it('K-ONE refuses two headers with two different values of one member', async () => {
    const world = new MessageWorld()
    const [one, other] = [await world.send('1'), await world.send('2')]
    const headers: [string, string][] = [one, other].map(({ headers }) => [
      'baggage',
      headers['baggage'] as string,
    ])
    expect(await refusal(world.reader().receive({ headers, body: '1', from: ORDERS }))).toBe(
      'ERR_KEST_BAGGAGE',
    )
  })

  it('K-ROOT refuses a message without lineage, and K-OPTIONAL lets it in as worth nothing', async () => {
    const world = new MessageWorld()
    const message = { headers: {}, body: 'x', from: ORDERS }
    expect(await refusal(world.reader().receive(message))).toBe('ERR_KEST_LINEAGE_MISSING')
    const { entry } = await world.reader({ lineage: 'optional' }).receive(message)
    expect(entry).toMatchObject({ trustScore: 0, taints: ['kest.unproven'] })
  })

  it('K-EDGE begins at an edge, where what a message brings is removed unread', async () => {
    const world = new MessageWorld()
    const sent = await world.send()
    const headers = { baggage: `${sent.headers['baggage']},kest.passport=not-a-passport,kest.Odd=1` }
    const { entry } = await world
      .reader({ origin: 'third_party_api' })
      .receive(inbound({ headers, body: 'x' }, { also: [{ BAGGAGE: 'kest.claim_check=x' }] }))
    expect(entry.entry.parent_ids).toEqual(['0'])
    expect(entry.trustScore).toBe(60)
    expect(world.logger.records.some(({ details }) => details['removed'] === 6)).toBe(true)
  })

  it('K-MESSAGE accepts what is a day old, and K-FRESH nothing older', async () => {
    const world = new MessageWorld()
    const sent = await world.send()
    world.clock.advance(24 * HOUR)
    await expect(world.reader().receive(inbound(sent))).resolves.toBeDefined()
    expect(await refusal(world.reader({ maxAgeMs: HOUR }).receive(inbound(sent)))).toBe('ERR_KEST_FRESHNESS')
    world.clock.advance(1)
    expect(await refusal(world.reader().receive(inbound(sent)))).toBe('ERR_KEST_FRESHNESS')
    const patient = world.reader({ maxAgeMs: 48 * HOUR })
    await expect(patient.receive(inbound(sent))).resolves.toBeDefined()
  })

  it('asks the policy with who acts and what is handled', async () => {
    const world = new MessageWorld()
    const reader = world.reader({
      operation: (from) => ({ policy: `read ${from}`, resource: ({ body }) => ({ id: `order ${body}` }) }),
    })
    await reader.receive(inbound(await world.send('7')))
    const { policies, context: asked } = world.engine.requests.at(
      -1,
    ) as (typeof world.engine.requests)[number]
    expect(policies).toEqual(['read kafka://main/orders'])
    expect(asked).toMatchObject({ subject: { user: 'alice' }, object: { id: 'order 7' } })
  })

  it('names the operation by what places have in common, and asks for it by that', async () => {
    const world = new MessageWorld()
    const asked: string[] = []
    const reader = world.reader({
      pattern: (from) => from.replace(/[^/]+$/, '*'),
      operation: (place) => {
        asked.push(place)
        return { policy: 'test' }
      },
    })
    for (const place of ['kafka://main/orders', 'kafka://main/refunds']) {
      const { entry } = await reader.receive({ ...inbound(await world.send()), from: place })
      expect(entry.entry.operation).toBe('receive kafka://main/*')
    }
    expect(asked).toEqual(['kafka://main/*'])
  })

  it('refuses a message whose place has no name', async () => {
    const world = new MessageWorld()
    const reader = world.reader({ pattern: () => '' })
    expect(await refusal(reader.receive(inbound(await world.send())))).toBe('ERR_KEST_CONFIG')
  })

  it('K-TRACE repeats the trace of the passport', async () => {
    const world = new MessageWorld()
    const state = await world.request()
    const { entry } = await world.reader().receive(inbound(await world.send('x', { state })))
    expect(entry.entry.labels[LABEL.traceId]).toBe(state.frame.traceId(() => ''))
  })

  it.each([
    ['from', { from: '' }],
    ['body', { body: 7 as never }],
    ['delivery.count', { delivery: { count: 0 } }],
    ['delivery.id', { delivery: { id: 'line\nbreak' } }],
    ['delivery.redelivered', { delivery: { redelivered: 'yes' as never } }],
  ])('refuses a message whose %s has not the form', async (_, more) => {
    const world = new MessageWorld()
    const message = inbound(await world.send(), more)
    expect(await refusal(world.reader().receive(message))).toBe('ERR_KEST_CONFIG')
  })
})

describe('what becomes of a message that is refused', () => {
  it.each([
    ['has no lineage', 'dead-letter', { headers: {} }],
    ['is malformed', 'dead-letter', { headers: { baggage: 'kest.passport=x' } }],
    ['is no text', 'dead-letter', { headers: { baggage: Buffer.from([0xff, 0xfe]) } }],
  ] as const)('K-MESSAGE %s: %s', async (_, disposition, more) => {
    const world = new MessageWorld()
    const error = await world
      .reader()
      .receive({ body: 'x', from: ORDERS, ...more })
      .catch((one) => one)
    expect(dispositionOf(error)).toBe(disposition)
    // Nobody is refused in silence.
    expect(world.logger.records.some(({ details }) => details['code'] === error.code)).toBe(true)
  })

  it('K-MESSAGE is denied by a policy: dead-letter', async () => {
    const world = new MessageWorld()
    const sent = await world.send()
    const engine = { evaluate: () => false }
    const reader = world.reader({}, world.kestOf(world.ordersIdentity, { engine }))
    const error = await reader.receive(inbound(sent)).catch((one) => one)
    expect([error.code, dispositionOf(error)]).toEqual(['ERR_KEST_DENIED', 'dead-letter'])
  })

  it('K-MESSAGE brings a token that is not valid: dead-letter', async () => {
    const world = new MessageWorld()
    const reader = world.reader({
      token: {
        jwks: world.ordersIdentity.getPublicJwk(),
        issuer: 'https://issuer.test',
        audience: 'orders',
      },
    })
    const { headers, body } = await world.send()
    const message = { headers: { ...headers, authorization: 'Bearer x' }, body, from: ORDERS }
    const error = await reader.receive(message).catch((one) => one)
    expect([error.code, dispositionOf(error)]).toEqual(['ERR_KEST_TOKEN', 'dead-letter'])
  })

  it.each([
    ['the engine', { engine: { evaluate: () => Promise.reject(new Error('down')) } }, 'ERR_KEST_ENGINE'],
    [
      'the keys',
      {
        trust: {
          name: 'keys',
          kind: 'keys' as const,
          generation: 0,
          find: () => Promise.reject(new Error('down')),
        },
      },
      'ERR_KEST_KEYS_UNAVAILABLE',
    ],
    [
      'the identity',
      {
        identity: {
          getWorkloadId: () => 'spiffe://kest.test/orders',
          current: () => Promise.reject(new Error('down')),
        },
      },
      'ERR_KEST_IDENTITY',
    ],
  ])(
    'K-MESSAGE cannot be judged because of %s: it is delivered again, never put away',
    async (_, more, code) => {
      const world = new MessageWorld()
      const sent = await world.send()
      const reader = world.reader({}, world.kestOf(world.ordersIdentity, more))
      const error = await reader.receive(inbound(sent)).catch((one) => one)
      expect([error.code, dispositionOf(error)]).toEqual([code, 'redeliver'])
    },
  )

  it('K-MESSAGE leaves to others what is not Kest’s, and what this service is not set up for', () => {
    expect(dispositionOf(new Error('of a resolver'))).toBe('redeliver')
    expect(dispositionOf(undefined)).toBe('redeliver')
  })
})

describe('handing on what was read', () => {
  it('K-SCOPE takes the lineage out of the headers that a handler gets, and nothing else', async () => {
    const world = new MessageWorld()
    const { headers } = await world.send()
    const messages = world.reader()
    expect(messages.strip({ ...headers, 'x-id': '7' })).toEqual({ 'x-id': '7' })
    expect(messages.strip({ Baggage: Buffer.from(`theirs=1,${headers['baggage']}`) })).toEqual({
      baggage: 'theirs=1',
    })
    const foreign = { Baggage: Buffer.from('theirs=1') }
    expect(messages.strip(foreign)).toEqual({ Baggage: Buffer.from('theirs=1') })
    expect(messages.strip([])).toEqual([])
  })
})
