import { generateKeyPairSync } from 'node:crypto'
import { Metadata, ServerInterceptingCall, status } from '@grpc/grpc-js'
import {
  createKeySource,
  currentState,
  getCurrentPassport,
  getCurrentUser,
  type KestState,
  parsePassport,
  verifyPassport,
} from '@kest/core'
import { FakeClock, type MockDecisions, MockIdentityProvider } from '@kest/core/testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { kestGrpc, kestOf } from '../src/index.js'
import {
  Echo,
  type EchoCall,
  FORMS,
  failureOf,
  implementation,
  kestCode,
  metadataOf,
  send,
} from './support/echo.js'
import { deferred, lineage, METHODS, World } from './support/world.js'

const EDGE = { origin: 'user_input' } as const

const worlds: World[] = []
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close()
})

function worldOf(...args: ConstructorParameters<typeof World>): World {
  const world = new World(...args)
  worlds.push(world)
  return world
}

async function own(user?: string): Promise<Metadata> {
  return metadataOf({ baggage: await lineage(user) })
}

/** What a handler knows: ambient, and of its call. */
function look(_: unknown, call: EchoCall): unknown {
  const entries = currentState()?.frame.lineage.map(({ entry }) => entry) ?? []
  return {
    user: getCurrentUser(),
    own: kestOf(call).user,
    same: currentState() === kestOf(call).state,
    baggage: call.metadata.get('baggage'),
    operations: entries.map(({ operation }) => operation),
  }
}

const PATHS = {
  unary: '/kest.test.Echo/Unary',
  clientStream: '/kest.test.Echo/ClientStream',
  serverStream: '/kest.test.Echo/ServerStream',
  bidi: '/kest.test.Echo/Bidi',
} as const

it('tells the operator, once, of an error that nobody expected: its class and where it was, and no word of it', async () => {
  const world = worldOf()
  const client = world.client(await world.serve())
  const enter = (): never => {
    throw new TypeError('secret')
  }
  Object.defineProperty(world.kest, 'begin', { value: async () => ({ enter }) })
  const failure = await failureOf(send(client, 'unary', 'm', { metadata: await own() }))
  expect([failure.code, kestCode(failure)]).toEqual([status.INTERNAL, 'ERR_KEST_CONFIG'])
  expect(world.logger.records.filter(({ level }) => level === 'error')).toEqual([
    {
      level: 'error',
      message: 'a request could not be judged',
      details: expect.objectContaining({
        code: '_OTHER',
        err: 'TypeError',
        route: '/kest.test.Echo/Unary',
        at: expect.arrayContaining([expect.stringContaining('inbound.test')]),
      }),
    },
  ])
  expect(JSON.stringify(world.logger.records)).not.toContain('secret')
  expect(world.ran).toBe(0)
})

describe.each(FORMS)('a protected call, %s', (form) => {
  it('K-RPC K-ORDER makes one entry, named by its method, and every message comes in its state', async () => {
    const world = worldOf()
    let before = -1
    const address = await world.serve({}, (message, call) => {
      before = before === -1 ? world.signed : before
      return look(message, call)
    })
    const answers = (await send(world.client(address), form, 'm', { metadata: await own() })).flat()
    const seen = {
      user: 'alice',
      own: 'alice',
      same: true,
      baggage: [],
      operations: ['gateway', PATHS[form]],
    }
    expect(answers).toEqual(Array.from(answers, () => seen))
    expect(answers).toHaveLength(form === 'unary' ? 1 : 2)
    expect([before, world.signed, world.engine.requests.length]).toEqual([1, 1, 1])
    expect(world.engine.requests[0]?.context.object.id).toBe(PATHS[form])
  })

  it('K-ROOT K-RPC is refused without lineage: a status, a code and nothing more, and nothing runs', async () => {
    const world = worldOf()
    const client = world.client(await world.serve())
    const failure = await failureOf(send(client, form, 'm'))
    expect([failure.code, kestCode(failure)]).toEqual([status.PERMISSION_DENIED, 'ERR_KEST_LINEAGE_MISSING'])
    expect(failure.details).toBe('The request has no lineage, and needs one here')
    expect([world.signed, world.ran]).toEqual([0, 0])
    await send(client, form, 'm', { metadata: await own() })
    expect(world.signed).toBe(1)
  })

  it.each(REFUSALS())(
    '%s: %s, and nothing is signed and no handler runs',
    async (_, code, kest, decisions) => {
      const world = worldOf(decisions, kest === 'ERR_KEST_ENGINE_TIMEOUT' ? { policyTimeoutMs: 50 } : {})
      const failure = await failureOf(send(world.client(await world.serve(EDGE)), form, 'x'.repeat(10_000)))
      expect([status[failure.code], kestCode(failure)]).toEqual([code, kest])
      expect(JSON.stringify(failure) + failure.message).not.toMatch(/secret|spiffe|10\.0\.0\.7|trust_score/)
      expect([world.signed, world.ran]).toEqual([0, 0])
    },
  )

  it('K-ORDER a caller that cancels while it is decided: the engine is told, nothing is signed or runs', async () => {
    const { world, asked, aborted, decide } = hesitant()
    const client = world.client(await world.serve(EDGE))
    let cancel = (): void => {}
    const failure = failureOf(
      send(client, form, 'm', {
        made: (call) => {
          cancel = () => call.cancel()
        },
      }),
    )
    await asked
    cancel()
    expect((await failure).code).toBe(status.CANCELLED)
    await aborted
    decide(true)
    await vi.waitFor(() => expect(codesOf(world)).toContain('ERR_KEST_ABORTED'), WAIT)
    expect([world.signed, world.ran]).toEqual([0, 0])
  })

  it('K-ORDER a deadline that passes while it is decided: gRPC answers, once, and nothing is signed or runs', async () => {
    const { world, asked, aborted, decide } = hesitant()
    const client = world.client(await world.serve(EDGE))
    const failing = failureOf(send(client, form, 'm', { options: { deadline: Date.now() + 300 } }))
    // On a machine that is busy it may pass before.
    const wasAsked = await Promise.race([asked.then(() => true), failing.then(() => false)])
    const failure = await failing
    expect([failure.code, kestCode(failure)]).toEqual([status.DEADLINE_EXCEEDED, ''])
    if (!wasAsked) return
    await aborted
    decide(true)
    // The next one shows that the server has done with the first.
    await send(client, form, 'm')
    expect([world.signed, world.ran]).toEqual([1, form === 'unary' || form === 'serverStream' ? 1 : 2])
  })

  it('an error of the handler is the application’s, and its entry stays', async () => {
    const world = worldOf()
    const address = await world.serve(EDGE, () => {
      throw Object.assign(new Error('no such order'), { code: status.NOT_FOUND, details: 'no such order' })
    })
    const failure = await failureOf(send(world.client(address), form, 'm'))
    expect([failure.code, failure.details, kestCode(failure)]).toEqual([
      status.NOT_FOUND,
      'no such order',
      '',
    ])
    expect(world.signed).toBe(1)
  })

  it('SPEC §11.7 many users at once, on few connections, never see each other', async () => {
    const world = worldOf(() => new Promise((resolve) => setTimeout(resolve, Math.random() * 5, true)))
    const step = world.kest.verified({ operation: 'step', policy: 'test' }, async () => getCurrentUser())
    const address = await world.serve({}, async (message, call) => {
      const user = await step()
      return { message, user, ambient: getCurrentUser(), own: kestOf(call).user }
    })
    const clients = [1, 2, 3].map(() => world.client(address))
    const users = Array.from({ length: 40 }, (_, n) => `user-${n}`)
    await Promise.all(
      users.map(async (user, n) => {
        const answers = await send(clients[n % 3]!, form, user, { metadata: await own(user) })
        for (const answer of answers.flat())
          expect(answer).toEqual({ message: user, user, ambient: user, own: user })
      }),
    )
  })
})

const WAIT = { timeout: 120_000, interval: 5 }

function REFUSALS(): (readonly [string, string, string, MockDecisions])[] {
  return [
    ['TC-07 a policy says no', 'PERMISSION_DENIED', 'ERR_KEST_DENIED', false],
    [
      'TC-09 NF-SEC-03 the engine fails',
      'UNAVAILABLE',
      'ERR_KEST_ENGINE',
      () => Promise.reject(new Error('secret: opa at 10.0.0.7 is down')),
    ],
    [
      'NF-SEC-03 the engine does not answer',
      'UNAVAILABLE',
      'ERR_KEST_ENGINE_TIMEOUT',
      () => new Promise(() => undefined),
    ],
  ]
}

/** A world whose engine decides when it is told to. */
function hesitant() {
  const asking = deferred()
  const aborting = deferred()
  const decision = deferred<boolean>()
  const world = worldOf((_: unknown, signal: AbortSignal) => {
    asking.resolve()
    signal.addEventListener('abort', () => aborting.resolve())
    return decision.promise
  })
  return { world, asked: asking.promise, aborted: aborting.promise, decide: decision.resolve }
}

function codesOf(world: World): readonly unknown[] {
  return world.logger.records.map(({ details }) => details['code'])
}

describe('what a call brings', () => {
  it('SPEC §11.7 500 users at once never see each other, and each has one entry', async () => {
    const world = worldOf(() => new Promise((resolve) => setTimeout(resolve, Math.random() * 5, true)))
    const address = await world.serve({}, async (_, call) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 5))
      return { user: getCurrentUser(), own: kestOf(call).user, passport: getCurrentPassport() }
    })
    const clients = Array.from({ length: 5 }, () => world.client(address))
    const trust = createKeySource(
      new Map(
        ['gateway', 'orders'].map((name) => {
          const identity = new MockIdentityProvider(name)
          return [identity.getWorkloadId(), [identity.getPublicJwk()]] as const
        }),
      ),
    )
    const users = Array.from({ length: 500 }, (_, n) => `user-${n}`)
    const answers = await Promise.all(
      users.map(async (user, n) => {
        const [answer] = await send(clients[n % 5]!, 'unary', user, { metadata: await own(user) })
        return answer as { user: string; own: string; passport: unknown }
      }),
    )
    expect(answers.map(({ user }) => user)).toEqual(users)
    expect(answers.map(({ own }) => own)).toEqual(users)
    expect(world.signed).toBe(500)
    const { entries } = await verifyPassport(parsePassport(answers[0]?.passport), { trust })
    expect(entries.map(({ entry }) => entry.operation)).toEqual(['gateway', PATHS.unary])
  })

  it('K-RPC K-INGRESS lineage that is malformed, or does not hold', async () => {
    const world = worldOf()
    const client = world.client(await world.serve())
    for (const [baggage, code, kest] of [
      ['kest.passport=%5B%5D', 'PERMISSION_DENIED', 'ERR_KEST_LINEAGE_MISSING'],
      [`kest.chain_tip=${'a'.repeat(64)}`, 'PERMISSION_DENIED', 'ERR_KEST_TIP'],
      ['kest.passport=%7B%7D', 'INVALID_ARGUMENT', 'ERR_KEST_PASSPORT_MALFORMED'],
      [`${await lineage()},Kest.user=admin`, 'INVALID_ARGUMENT', 'ERR_KEST_BAGGAGE'],
      ['x'.repeat(20_000), 'INVALID_ARGUMENT', 'ERR_KEST_LIMIT'],
    ] as const) {
      const failure = await failureOf(send(client, 'unary', 'm', { metadata: metadataOf({ baggage }) }))
      expect([status[failure.code], kestCode(failure)]).toEqual([code, kest])
    }
    expect([world.signed, world.ran]).toEqual([0, 0])
  })

  it('K-ONE K-CARRIER joins several values, and refuses two lineages', async () => {
    const world = worldOf()
    const client = world.client(await world.serve({}, look))
    const [alice, bob] = [await lineage('alice'), await lineage('bob')]
    for (const baggage of [
      ['tenant=7', alice],
      [alice, alice],
    ]) {
      const [answer] = await send(client, 'unary', 'm', { metadata: metadataOf({ baggage }) })
      expect(answer).toMatchObject({ user: 'alice', baggage: baggage[0] === 'tenant=7' ? ['tenant=7'] : [] })
    }
    const both = metadataOf({ baggage: [alice, bob] })
    const failure = await failureOf(send(client, 'unary', 'm', { metadata: both }))
    expect([failure.code, kestCode(failure)]).toEqual([status.INVALID_ARGUMENT, 'ERR_KEST_BAGGAGE'])
  })

  it('K-SCOPE leaves no lineage in the metadata for a handler to forward, and everything else', async () => {
    const world = worldOf()
    const client = world.client(await world.serve({}, (_, { metadata }) => metadata.toJSON()))
    const metadata = metadataOf({
      baggage: `tenant=7,${await lineage()},region=eu;ttl=1`,
      'x-other': ['1', '2'],
    })
    const [answer] = await send(client, 'unary', 'm', { metadata })
    expect(answer).toMatchObject({ baggage: ['tenant=7,region=eu;ttl=1'], 'x-other': ['1, 2'] })
    expect(JSON.stringify(answer)).not.toMatch(/kest/)
  })

  it('K-EDGE K-CARRIER removes inbound lineage, also forged, and begins anew', async () => {
    const world = worldOf()
    const client = world.client(await world.serve(EDGE, look))
    const forged = `${await lineage()},Kest.User=mallory,kest.jwt=abc,kest.claim_check=x,tenant=7`
    const [answer] = await send(client, 'unary', 'm', { metadata: metadataOf({ baggage: forged }) })
    expect(answer).toMatchObject({ user: null, baggage: ['tenant=7'], operations: [PATHS.unary] })
    expect(world.logger.records.some(({ message }) => message.includes('K-EDGE'))).toBe(true)
  })

  it('K-OPTIONAL lets in a call without lineage where it is optional, worth nothing', async () => {
    const world = worldOf()
    const client = world.client(await world.serve({ lineage: 'optional' }))
    await send(client, 'unary', 'm')
    expect(world.engine.requests[0]?.context).toMatchObject({
      trust_score: 0,
      subject: { taints: ['kest.unproven'] },
    })
    const brought = metadataOf({ baggage: 'kest.passport=%5B%5D' })
    const failure = await failureOf(send(client, 'unary', 'm', { metadata: brought }))
    expect(kestCode(failure)).toBe('ERR_KEST_LINEAGE_MISSING')
  })

  it('F-IC-05 K-RPC refuses a bearer token that is missing or none', async () => {
    const world = worldOf()
    const { publicKey } = generateKeyPairSync('ed25519')
    const token = { jwks: publicKey, issuer: 'https://issuer.test', audience: 'orders', required: true }
    const client = world.client(await world.serve({ ...EDGE, token }))
    for (const metadata of [new Metadata(), metadataOf({ authorization: 'Bearer a.b.c' })]) {
      const failure = await failureOf(send(client, 'unary', 'm', { metadata }))
      expect([failure.code, kestCode(failure)]).toEqual([status.UNAUTHENTICATED, 'ERR_KEST_TOKEN'])
    }
    expect(world.ran).toBe(0)
  })

  it('NF-SEC-02 the identity is gone: UNAVAILABLE, and no handler runs', async () => {
    const identity = {
      getWorkloadId: () => 'spiffe://kest.test/orders',
      current: () => {
        throw new Error('secret: the SVID of spiffe://kest.test/orders has expired')
      },
    }
    const world = worldOf(true, { identity })
    const failure = await failureOf(send(world.client(await world.serve(EDGE)), 'unary', 'm'))
    expect([failure.code, kestCode(failure)]).toEqual([status.UNAVAILABLE, 'ERR_KEST_IDENTITY'])
    expect(failure.message).not.toMatch(/secret|spiffe/)
    expect(world.ran).toBe(0)
  })

  it('is what the options of a method are made of: metadata and peer', async () => {
    const world = worldOf()
    const resource = ({ method, metadata, peer }: { method: string; metadata: Metadata; peer: string }) => ({
      id: `${method} ${String(metadata.get('order'))}`,
      attributes: { local: peer.startsWith('127.0.0.1:'), baggage: metadata.get('baggage').map(String) },
    })
    const methods = { '/kest.test.Echo/Unary': { policy: 'test', resource } }
    const client = world.client(await world.serve({ methods }))
    const metadata = await own()
    metadata.set('order', '7')
    await send(client, 'unary', 'm', { metadata })
    expect(world.engine.requests[0]?.context.object).toEqual({
      id: `${PATHS.unary} 7`,
      attributes: { local: true, baggage: [] },
    })
  })

  it('is told to the operator where it is refused: method and peer', async () => {
    const world = worldOf()
    await failureOf(send(world.client(await world.serve()), 'unary', 'm'))
    const refused = world.logger.records.find(({ message }) => message === 'inbound request refused')
    expect(refused?.details).toMatchObject({
      code: 'ERR_KEST_LINEAGE_MISSING',
      route: PATHS.unary,
      peer: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    })
  })
})

describe('when a call is over', () => {
  it('the signal aborts where the caller leaves, and does not where it was answered', async () => {
    const world = worldOf()
    const signals: AbortSignal[] = []
    const working = deferred()
    const address = await world.serve(EDGE, async (message, call) => {
      const signal = kestOf(call).state.signal as AbortSignal
      signals.push(signal)
      if (message === 'quick') return message
      working.resolve()
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      return message
    })
    const client = world.client(address)
    await send(client, 'unary', 'quick')
    let cancel = (): void => {}
    const failure = failureOf(
      send(client, 'unary', 'slow', {
        made: (call) => {
          cancel = () => call.cancel()
        },
      }),
    )
    await working.promise
    cancel()
    await failure
    await vi.waitFor(() => expect(signals[1]?.aborted).toBe(true), WAIT)
    expect(signals[0]?.aborted).toBe(false)
  })

  it('K-STATE ends stateGraceMs after the call, and not before', async () => {
    const clock = new FakeClock()
    const world = worldOf(true, { clock })
    const states: KestState[] = []
    const address = await world.serve({ ...EDGE, stateGraceMs: 5000 }, (message, call) => {
      states.push(kestOf(call).state)
      return message
    })
    await send(world.client(address), 'unary', 'm')
    // The end comes when the server has closed the stream, which its client need not wait for.
    await vi.waitFor(() => {
      clock.advance(5001)
      expect(states[0]?.lifetime.ended).toBe(true)
    }, WAIT)
  })

  it('K-STATE is not ended while a stream is open', async () => {
    const clock = new FakeClock()
    const world = worldOf(true, { clock })
    const open = deferred()
    const close = deferred()
    let state: KestState | undefined
    const address = await world.serve({ ...EDGE, stateGraceMs: 0 }, async (message, call) => {
      state = kestOf(call).state
      open.resolve()
      await close.promise
      return message
    })
    const sent = send(world.client(address), 'bidi', 'm')
    await open.promise
    clock.advance(60_000)
    expect(state?.lifetime.ended).toBe(false)
    close.resolve()
    await sent
    await vi.waitFor(() => expect(state?.lifetime.ended).toBe(true), WAIT)
  })

  it('K-STATE a listener for its cancellation runs in its state', async () => {
    const world = worldOf()
    const working = deferred()
    const cancelled = deferred<unknown>()
    const address = await world.serve(EDGE, (_, call) => {
      const { state } = kestOf(call)
      call.on('cancelled', () => cancelled.resolve(currentState() === state))
      working.resolve()
      return new Promise(() => {})
    })
    let cancel = (): void => {}
    void failureOf(
      send(world.client(address), 'bidi', 'm', {
        made: (call) => {
          cancel = () => call.cancel()
        },
      }),
    )
    await working.promise
    cancel()
    expect(await cancelled.promise).toBe(true)
  })
})

describe('other interceptors', () => {
  it('K-ORDER cannot have a message read before the call is let in', async () => {
    const { world, asked, decide } = hesitant()
    const seen: unknown[] = []
    const eager = (_: unknown, call: ConstructorParameters<typeof ServerInterceptingCall>[0]) =>
      new ServerInterceptingCall(call, {
        start: (next) => {
          next({
            onReceiveMessage: (message, forward) => {
              seen.push(message)
              forward(message)
            },
          })
          call.startRead()
        },
      })
    const client = world.client(await world.serve(EDGE, (message) => message, [eager]))
    const sent = send(client, 'bidi', 'm')
    await asked
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(seen).toEqual([])
    decide(true)
    expect(await sent).toEqual(['m', 'm'])
    expect(seen).toEqual(['m', 'm'])
  })

  it('may answer while it is decided: nothing is signed, no handler runs, nobody answers twice', async () => {
    const { world, asked, aborted, decide } = hesitant()
    const calls: ServerInterceptingCall[] = []
    const impatient = (_: unknown, call: ConstructorParameters<typeof ServerInterceptingCall>[0]) => {
      const own = new ServerInterceptingCall(call)
      calls.push(own)
      return own
    }
    const client = world.client(await world.serve(EDGE, (message) => message, [impatient]))
    const failure = failureOf(send(client, 'unary', 'm'))
    await asked
    calls[0]?.sendStatus({ code: status.RESOURCE_EXHAUSTED, details: 'too many' })
    expect((await failure).code).toBe(status.RESOURCE_EXHAUSTED)
    await aborted
    decide(true)
    await vi.waitFor(() => expect(codesOf(world)).toContain('ERR_KEST_ABORTED'), WAIT)
    expect([world.signed, world.ran]).toEqual([0, 0])
  })

  it('may send metadata before, and the refusal still arrives', async () => {
    const world = worldOf(false)
    const early = (_: unknown, call: ConstructorParameters<typeof ServerInterceptingCall>[0]) => {
      call.sendMetadata(metadataOf({ early: 'yes' }))
      return new ServerInterceptingCall(call)
    }
    const client = world.client(await world.serve(EDGE, (message) => message, [early]))
    const failure = await failureOf(send(client, 'unary', 'm'))
    expect([failure.code, kestCode(failure)]).toEqual([status.PERMISSION_DENIED, 'ERR_KEST_DENIED'])
  })

  it('a second kestGrpc() is refused: it could loosen the first', async () => {
    const world = worldOf()
    const kest = kestGrpc({ kest: world.kest, methods: METHODS, ...EDGE })
    const warned = warning()
    const address = await world.listen(
      [kest, kest],
      Echo,
      implementation(() => expect.unreachable()),
    )
    const failure = await failureOf(send(world.client(address), 'unary', 'm'))
    expect([failure.code, kestCode(failure)]).toEqual([status.INTERNAL, 'ERR_KEST_CONFIG'])
    expect((await warned).message).toContain('twice')
  })

  it('kestOf says so of a call that was not let in', () => {
    expect(() => kestOf({ metadata: new Metadata() })).toThrow(/no kestGrpc\(\)/)
  })
})

function warning(): Promise<Error> {
  return new Promise((resolve) => process.once('warning', resolve))
}
