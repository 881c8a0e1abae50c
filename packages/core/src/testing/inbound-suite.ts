import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { getCurrentPassport, getCurrentUser } from '../context/accessors.js'
import type { KestState } from '../context/state.js'
import { currentState } from '../context/state.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { parsePassport } from '../passport/passport.js'
import { verifyPassport } from '../passport/verify.js'
import { buildPassport } from './build-passport.js'
import { FakeClock } from './fake-clock.js'
import type { InboundAdapter, SuiteRequest, SuiteRoute } from './inbound-adapter.js'
import { testBoundRequests } from './inbound-bound-requests.js'
import { assertNothingDone, assertRefused, within } from './inbound-checks.js'
import { testInboundReceipts } from './inbound-receipts.js'
import {
  type Answer,
  deferred,
  InboundWorld,
  lineage,
  rawRequest,
  readAll,
  toAnswer,
  until,
} from './inbound-world.js'
import type { MockDecisions } from './mock-engine.js'

const EDGE = { origin: 'user_input' } as const

/**
 * What every adapter for HTTP does, as tests for any runner: refusals and their statuses, no handler without an entry and one
 * entry per request, HEAD and methods that no route has, what is not found, errors, clients that leave, slow bodies, bodies that
 * a token is bound to, receipts and outcomes, and many users at once. Each test makes its own server on 127.0.0.1 and ends it.
 *
 * @param it what declares a test: of vitest, `node:test`, jest
 *
 * @example
 * ```ts
 * describe('kestKoa', () => testInbound(it, { serve: async (options, routes) => createServer(app(options, routes).callback()) }))
 * ```
 */
export function testInbound(
  it: (title: string, test: () => Promise<void>) => unknown,
  adapter: InboundAdapter,
): void {
  it('K-ROOT refuses a request without lineage, tells a code and nothing more, and runs nothing', () =>
    within(new InboundWorld(), async (world) => {
      const answer = await world.send(await world.serve(adapter, {}, [route()]), 'GET /x')
      assertRefused(answer, 403, 'ERR_KEST_LINEAGE_MISSING')
      assertNothingDone(world)
    }))

  it('tells the operator, once, of an error that nobody expected: its class and where it was, and no word of it', () =>
    within(new InboundWorld(), async (world) => {
      const port = await world.serve(adapter, {}, [route()])
      const enter = (): never => {
        throw new TypeError('secret')
      }
      Object.defineProperty(world.kest, 'begin', { value: async () => ({ enter }) })
      const answer = await world.send(port, 'GET /x', [`baggage: ${await lineage()}`])
      assertRefused(answer, 500, 'ERR_KEST_CONFIG')
      const lines = world.logger.records.filter(({ message }) => message === 'a request could not be judged')
      const { level, details } = lines[0] ?? {}
      assert.deepEqual([lines.length, level, details?.['err']], [1, 'error', 'TypeError'])
      assert.equal(details?.['method'], 'GET')
      assert.match(String(details?.['at']), /^at .*inbound-suite/)
      assert.doesNotMatch(JSON.stringify(world.logger.records), /secret/)
      assertNothingDone(world)
    }))

  it('K-INGRESS refuses lineage that is malformed or does not hold, and runs nothing', () =>
    within(new InboundWorld(), async (world) => {
      const port = await world.serve(adapter, {}, [route()])
      const stranger = await buildPassport([{ by: 'stranger' }])
      for (const [baggage, status, code] of [
        ['kest.passport=%5B%5D', 403, 'ERR_KEST_LINEAGE_MISSING'],
        [`kest.chain_tip=${'a'.repeat(64)}`, 403, 'ERR_KEST_TIP'],
        ['kest.passport=%7B%7D', 400, 'ERR_KEST_PASSPORT_MALFORMED'],
        ['kest.passport=%5B%22a.b%22%5D', 400, 'ERR_KEST_ENTRY_MALFORMED'],
        [tampered(await lineage()), 403, 'ERR_KEST_SIGNATURE'],
        [stranger.headers.baggage, 403, 'ERR_KEST_KEY_UNKNOWN'],
        [`${await lineage()},Kest.user=admin`, 400, 'ERR_KEST_BAGGAGE'],
      ] as const)
        assertRefused(await world.send(port, 'GET /x', [`baggage: ${baggage}`]), status, code)
      assertNothingDone(world)
    }))

  it('K-ONE joins several baggage lines, and refuses two lineages', () =>
    within(new InboundWorld(), async (world) => {
      const port = await world.serve(adapter, {}, [route()])
      const own = `baggage: ${await lineage()}`
      for (const lines of [
        ['baggage: tenant=7', own],
        [own, own],
      ])
        assert.deepEqual(seen(await world.send(port, 'GET /x', lines)).user, 'alice')
      const other = `baggage: ${await lineage({ user: 'bob' })}`
      assertRefused(await world.send(port, 'GET /x', [own, other]), 400, 'ERR_KEST_BAGGAGE')
      assert.equal(world.ran, 2)
    }))

  it('K-OPTIONAL lets in a request without lineage where it is optional, worth nothing', () =>
    within(new InboundWorld(), async (world) => {
      const port = await world.serve(adapter, { lineage: 'optional' }, [route()])
      assert.equal(seen(await world.send(port, 'GET /x')).user, null)
      const { context } = world.engine.requests[0] as (typeof world.engine.requests)[number]
      assert.deepEqual([context.trust_score, context.subject.taints], [0, ['kest.unproven']])
      assert.equal(seen(await world.send(port, 'GET /x', [`baggage: ${await lineage()}`])).user, 'alice')
      const brought = await world.send(port, 'GET /x', ['baggage: kest.passport=%5B%5D'])
      assertRefused(brought, 403, 'ERR_KEST_LINEAGE_MISSING')
    }))

  it('K-INGRESS judges what matches no route, and gives it no entry', () =>
    within(new InboundWorld(), async (world) => {
      const port = await world.serve(adapter, {}, [route()])
      assertRefused(await world.send(port, 'GET /nothing'), 403, 'ERR_KEST_LINEAGE_MISSING')
      const answer = await world.send(port, 'GET /nothing', [`baggage: ${await lineage()}`])
      assert.equal(answer.status, 404)
      assertNothingDone(world)
    }))

  it('K-SCOPE leaves no lineage in the headers for a handler to forward, and everything else', () =>
    within(new InboundWorld(), async (world) => {
      const port = await world.serve(adapter, {}, [route()])
      const own = await lineage()
      const beside = await world.send(port, 'GET /x', [`baggage: tenant=7,${own},region=eu;ttl=1`])
      assert.equal(seen(beside).baggage, 'tenant=7,region=eu;ttl=1')
      assert.equal(seen(await world.send(port, 'GET /x', [`baggage: ${own}`])).baggage, null)
    }))

  it('K-EDGE removes inbound lineage, also forged, and begins anew', () =>
    within(new InboundWorld(), async (world) => {
      const port = await world.serve(adapter, EDGE, [route()])
      const forged = `${await lineage()},Kest.User=mallory,kest.jwt=abc,kest.claim_check=x,tenant=7`
      const { user, baggage, operations } = seen(await world.send(port, 'GET /x', [`baggage: ${forged}`]))
      assert.deepEqual([user, baggage, operations], [null, 'tenant=7', ['GET /x']])
      assert.equal(world.engine.requests[0]?.context.trust_score, 40)
      assert.ok(world.logger.records.some(({ message }) => message.includes('K-EDGE')))
    }))

  it('K-AMBIENT says that an answer depends on the passport, except at an edge', () =>
    within(new InboundWorld(), async (world) => {
      const own = [`baggage: ${await lineage()}`]
      const internal = await world.send(await world.serve(adapter, {}, [route()]), 'GET /x', own)
      assert.match(internal.head, /^vary: .*baggage/m)
      const edge = await world.send(await world.serve(adapter, EDGE, [route()]), 'GET /x', own)
      assert.doesNotMatch(edge.head, /^vary: .*baggage/m)
    }))

  it('F-IC-05 refuses a bearer token that is missing, doubled, or none with 401 and a challenge', () =>
    within(new InboundWorld(), async (world) => {
      const { publicKey } = generateKeyPairSync('ed25519')
      const issuer = 'https://issuer.test'
      const token = { jwks: publicKey, issuer, audience: 'orders', required: true }
      const port = await world.serve(adapter, { ...EDGE, token }, [route()])
      const one = 'authorization: Bearer a.b.c'
      for (const lines of [[], [one], [one, one]]) {
        const answer = await world.send(port, 'GET /x', lines)
        assertRefused(answer, 401, 'ERR_KEST_TOKEN')
        assert.match(answer.head, /^www-authenticate: bearer/m)
      }
      assertNothingDone(world)
    }))

  it('TC-07 TC-12 F-AE-01 F-CP-06 K-SPAN decides, makes one entry, then runs the handler in its state', () =>
    within(new InboundWorld(), async (world) => {
      const own = route({
        path: '/orders/:id',
        handle: (request) => ({
          ...look(request),
          signed: world.signed,
          same: currentState() === request.kest.state,
          name: request.kest.operation?.entry.entry.operation,
        }),
      })
      const port = await world.serve(adapter, {}, [own])
      const header = `baggage: ${await lineage({ addedTaints: ['pii'] })}`
      const answer = seen(await world.send(port, 'GET /orders/7?a=b', [header]))
      assert.deepEqual(answer, {
        user: 'alice',
        own: 'alice',
        baggage: null,
        operations: ['gateway', 'GET /orders/:id'],
        taints: ['pii'],
        signed: 1,
        same: true,
        name: 'GET /orders/:id',
      })
      const [request, ...more] = world.engine.requests
      assert.deepEqual([request?.policies, request?.context.subject.user], [['test'], 'alice'])
      assert.deepEqual([more.length, world.signed, world.ran], [0, 1, 1])
    }))

  for (const [what, status, code, decisions] of REFUSALS)
    it(`${what}: ${status}, and nothing is signed and no handler runs`, () =>
      within(new InboundWorld(decisions, code === TIMEOUT ? { policyTimeoutMs: 50 } : {}), async (world) => {
        const port = await world.serve(adapter, EDGE, [route(), route({ method: 'POST' })])
        assertRefused(await world.send(port, 'GET /x'), status, code)
        assertRefused(await world.send(port, 'POST /x', TEXT, 'x'.repeat(100_000)), status, code)
        assertNothingDone(world)
      }))

  it('NF-SEC-02 the identity is gone: 503, and no handler runs', () =>
    within(new InboundWorld(true, { identity: GONE }), async (world) => {
      const answer = await world.send(await world.serve(adapter, EDGE, [route()]), 'GET /x')
      assertRefused(answer, 503, 'ERR_KEST_IDENTITY')
      assert.equal(world.ran, 0)
    }))

  it('leaves a connection usable after it has refused a request with a body', () =>
    within(new InboundWorld({ yes: true }), async (world) => {
      const routes = [route({ method: 'POST', path: '/no', policy: 'no' }), route({ policy: 'yes' })]
      const socket = await world.connect(await world.serve(adapter, EDGE, routes))
      socket.write(rawRequest('POST /no', TEXT, 'x'.repeat(100_000)))
      socket.write(rawRequest('GET /x', ['connection: close']))
      const answers = split(await readAll(socket))
      assert.deepEqual(
        answers.map(({ status }) => status),
        [403, 200],
      )
    }))

  it('K-FLOW makes one entry for HEAD, and refuses it without a body', () =>
    within(new InboundWorld({ yes: true }), async (world) => {
      const routes = [route({ policy: 'yes' }), route({ path: '/no', policy: 'no' })]
      const port = await world.serve(adapter, EDGE, routes)
      const allowed = await world.send(port, 'HEAD /x')
      assert.deepEqual([allowed.status, allowed.body, world.signed, world.ran], [200, '', 1, 1])
      assert.equal(world.engine.requests[0]?.context.object.id, 'HEAD /x')
      const refused = await world.send(port, 'HEAD /no')
      assert.deepEqual([refused.status, refused.body, world.signed, world.ran], [403, '', 1, 1])
    }))

  it('runs no handler for methods that no route has, and judges them', () =>
    within(new InboundWorld(), async (world) => {
      const port = await world.serve(adapter, {}, [route()])
      const own = [`baggage: ${await lineage()}`]
      for (const method of ['OPTIONS', 'DELETE', 'PROPFIND', 'M-SEARCH']) {
        const code = 'ERR_KEST_LINEAGE_MISSING'
        assertRefused(await world.send(port, `${method} /x`), 403, code)
        assert.notEqual((await world.send(port, `${method} /x`, own)).status, 403)
      }
      const unknown = await world.send(port, 'BREW /x', own)
      assert.equal(unknown.status, 400)
      assertNothingDone(world)
    }))

  it('an error of the handler is the application’s: 500, its entry stays, and its state ends', () =>
    within(new InboundWorld(), async (world) => {
      const states: KestState[] = []
      const fail = async ({ kest }: SuiteRequest) => {
        states.push(kest.state)
        await wait(1)
        throw new Error('no order in db7.internal')
      }
      const answer = await world.send(await world.serve(adapter, EDGE, [route({ handle: fail })]), 'GET /x')
      assert.deepEqual([answer.status, world.signed, world.ran], [500, 1, 1])
      assert.doesNotMatch(answer.body, /ERR_KEST/)
      await until(() => states[0]?.lifetime.ended === true, 'the state to end')
    }))

  it('K-ORDER a client that leaves while it is decided: the engine is told, nothing is signed, no handler runs', () =>
    within(hesitant(), async ({ world, signals, decide }) => {
      const socket = await world.connect(await world.serve(adapter, EDGE, [route()]))
      socket.write(rawRequest('GET /x'))
      await until(() => signals.length === 1, 'the engine to be asked')
      socket.destroy()
      await until(() => signals[0]?.aborted === true, 'the engine to be told')
      decide(true)
      await until(() => codesOf(world).includes('ERR_KEST_ABORTED'), 'the operation to end')
      assert.deepEqual([world.signed, world.ran], [0, 0])
    }))

  it('K-ORDER and with requests in its pipeline: none of their handlers runs', () =>
    within(hesitant(), async ({ world, signals, decide }) => {
      const socket = await world.connect(await world.serve(adapter, EDGE, [route()]))
      socket.write(rawRequest('GET /x').repeat(20))
      await until(() => signals.length === 20, 'all to be asked')
      socket.resetAndDestroy()
      await until(() => signals.every(({ aborted }) => aborted), 'all to be told')
      decide(true)
      await until(
        () => world.logger.records.filter(({ details }) => details['code'] === 'ERR_KEST_ABORTED').length > 0,
        'the operations to end',
      )
      await wait(20)
      assert.deepEqual([world.signed, world.ran], [0, 0])
    }))

  it('a client that leaves while the handler works: the signal aborts, and does not when the answer was written', () =>
    within(new InboundWorld(), async (world) => {
      const signals: AbortSignal[] = []
      const note = ({ kest }: SuiteRequest) => signals.push(kest.state.signal as AbortSignal)
      const work = async (request: SuiteRequest) => {
        note(request)
        await once(request.kest.state.signal as AbortSignal, 'abort')
      }
      const routes = [route({ handle: note }), route({ path: '/slow', handle: work })]
      const port = await world.serve(adapter, EDGE, routes)
      await world.send(port, 'GET /x')
      const socket = await world.connect(port)
      socket.write(rawRequest('GET /slow'))
      await until(() => signals.length === 2, 'the handler to run')
      assert.equal(signals[1]?.aborted, false)
      socket.destroy()
      await until(() => signals[1]?.aborted === true, 'the signal to abort')
      assert.equal(signals[0]?.aborted, false)
    }))

  it('K-STATE ends when the response is closed and its handler has settled, and not before', () =>
    within(new InboundWorld(true, { clock: new FakeClock() }), async (world) => {
      const states: KestState[] = []
      const settle = deferred()
      const work = async ({ kest }: SuiteRequest) => {
        states.push(kest.state)
        if (states.length === 2) await settle.promise
      }
      const port = await world.serve(adapter, EDGE, [route({ handle: work })])
      await world.send(port, 'GET /x')
      await until(() => states[0]?.lifetime.ended === true, 'the first to end')
      const socket = await world.connect(port)
      socket.write(rawRequest('GET /x'))
      await until(() => states.length === 2, 'the second to run')
      socket.destroy()
      await until(() => states[1]?.signal?.aborted === true, 'its response to be closed')
      assert.equal(states[1]?.lifetime.ended, false)
      settle.resolve()
      await until(() => states[1]?.lifetime.ended === true, 'the second to end')
    }))

  it('K-STATE run, fetch, keep and fork on the request act in its state, whatever is ambient', () =>
    within(new InboundWorld(), async (world) => {
      const outside = deferred<() => unknown>()
      const acted = outside.promise.then((act) => act())
      const handle = async ({ kest }: SuiteRequest) => {
        const fetched = deferred<boolean>()
        outside.resolve(async () => {
          const ambient = currentState()
          const ran = kest.run(currentState) === kest.state
          const kept = kest.keep()
          const user = kept.run(getCurrentUser)
          const forked = kest.fork().frame !== kest.state.frame
          await kest.fetch('data:,').then(() => fetched.resolve(true))
          return [ambient, ran, user, forked]
        })
        await fetched.promise
        return acted
      }
      const port = await world.serve(adapter, {}, [route({ handle })])
      const answer = await world.send(port, 'GET /x', [`baggage: ${await lineage()}`])

      assert.deepEqual(JSON.parse(answer.body), [null, true, 'alice', true])
    }))

  it('K-AMBIENT is ambient after a slow body was read, of each its own', () =>
    within(new InboundWorld(), async (world) => {
      const read = async (request: SuiteRequest) => {
        const body = await request.body()
        return { body, ...look(request) }
      }
      const port = await world.serve(adapter, {}, [route({ method: 'POST', handle: read })])
      const users = Array.from({ length: 8 }, (_, n) => `user-${n}`)
      const sockets = await Promise.all(
        users.map(async (user) => {
          const socket = await world.connect(port)
          const headers = [...TEXT, 'connection: close', `content-length: ${user.length}`]
          socket.write(rawRequest('POST /x', [...headers, `baggage: ${await lineage({ user })}`]))
          return { socket, user }
        }),
      )
      for (let at = 0; at < 6; at++) {
        for (const { socket, user } of sockets) socket.write(user.charAt(at))
        await wait(1)
      }
      for (const { socket, user } of sockets) {
        const { body, ...own } = seen(toAnswer(await readAll(socket)))
        assert.deepEqual([body, own.user, own.own], [user, user, user])
      }
    }))

  it('K-AMBIENT leaves nothing behind on a connection that is kept alive', () =>
    within(new InboundWorld(), async (world) => {
      const socket = await world.connect(await world.serve(adapter, {}, [route()]))
      socket.write(rawRequest('GET /x', [`baggage: ${await lineage()}`]))
      socket.write(rawRequest('GET /x'))
      socket.write(rawRequest('GET /x', [`baggage: ${await lineage({ user: 'bob' })}`, 'connection: close']))
      const answers = split(await readAll(socket)).map(({ status, body }) => [status, JSON.parse(body).user])
      assert.deepEqual(answers, [
        [200, 'alice'],
        [403, undefined],
        [200, 'bob'],
      ])
    }))

  it('SPEC §11.7 500 users at once never see each other, and each has one entry', () =>
    within(new InboundWorld(() => wait(Math.random() * 5, true)), async (world) => {
      const step = world.kest.verified({ operation: 'step', policy: 'test' }, () => wait(Math.random() * 5))
      const work = async (request: SuiteRequest) => {
        const body = await request.body()
        await step()
        return { body, ...look(request), passport: getCurrentPassport() }
      }
      const port = await world.serve(adapter, {}, [route({ method: 'POST', handle: work })])
      const trust = createKeySource(
        new Map(
          ['gateway', 'orders'].map((name) => {
            const identity = new MockIdentityProvider(name)
            return [identity.getWorkloadId(), [identity.getPublicJwk()]] as const
          }),
        ),
      )
      const users = Array.from({ length: 500 }, (_, n) => `user-${n}`)
      // Each connection has the requests of several, one behind the other.
      await Promise.all(
        Array.from({ length: 25 }, async (_, n) => {
          const own = users.filter((_, index) => index % 25 === n)
          const socket = await world.connect(port)
          for (const [index, user] of own.entries()) {
            const header = `baggage: ${await lineage({ user, addedTaints: [user] })}`
            const close = index === own.length - 1 ? ['connection: close'] : []
            socket.write(rawRequest('POST /x', [...TEXT, ...close, header], user))
          }
          const answers = split(await readAll(socket)).map(seen)
          assert.deepEqual(
            answers.map(({ body, user, own, taints, operations }) => [body, user, own, taints, operations]),
            own.map((user) => [user, user, user, [user], ['gateway', 'POST /x', 'step']]),
          )
          const { entries } = await verifyPassport(parsePassport(answers[0]?.passport), { trust })
          assert.equal(entries.length, 3)
        }),
      )
      assert.equal(world.signed, 2 * users.length)
    }))

  testBoundRequests(it, adapter)
  testInboundReceipts(it, adapter)
}

const TIMEOUT = 'ERR_KEST_ENGINE_TIMEOUT'
const TEXT = ['content-type: text/plain']

const REFUSALS: readonly (readonly [string, number, string, MockDecisions])[] = [
  ['TC-07 a policy says no', 403, 'ERR_KEST_DENIED', false],
  [
    'TC-09 NF-SEC-03 the engine fails',
    503,
    'ERR_KEST_ENGINE',
    () => Promise.reject(new Error('secret: opa at 10.0.0.7 is down')),
  ],
  ['NF-SEC-03 the engine answers no decision', 503, 'ERR_KEST_ENGINE_ANSWER', () => 'yes' as never],
  [
    'NF-SEC-03 the engine does not answer',
    503,
    'ERR_KEST_ENGINE_TIMEOUT',
    () => new Promise(() => undefined),
  ],
]

const GONE = {
  getWorkloadId: () => 'spiffe://kest.test/orders',
  current: () => {
    throw new Error('secret: the SVID of spiffe://kest.test/orders has expired')
  },
}

function route(values: Partial<SuiteRoute> = {}): SuiteRoute {
  return { method: 'GET', path: '/x', policy: 'test', handle: look, ...values }
}

interface Look {
  readonly user: string | null
  readonly own: string | null
  readonly baggage: string | null
  readonly operations: readonly string[]
  readonly taints: readonly string[]
}

/** What a handler knows: ambient, and on the request. */
function look({ kest, baggage }: SuiteRequest): Look {
  const entries = currentState()?.frame.lineage.map(({ entry }) => entry) ?? []
  return {
    user: getCurrentUser(),
    own: kest.user,
    baggage: baggage ?? null,
    operations: entries.map(({ operation }) => operation),
    taints: entries.at(-1)?.taints ?? [],
  }
}

function seen({ status, body }: Answer): Look & { readonly body?: string; readonly passport?: unknown } {
  assert.equal(status, 200, body)
  return JSON.parse(body)
}

/** A world whose engine decides when it is told to. */
function hesitant() {
  const signals: AbortSignal[] = []
  const decision = deferred<boolean>()
  const decisions = (_request: unknown, signal: AbortSignal) => {
    signals.push(signal)
    return decision.promise
  }
  return {
    world: new InboundWorld(decisions),
    signals,
    decide: decision.resolve,
  }
}

function codesOf(world: InboundWorld): readonly unknown[] {
  return world.logger.records.map(({ details }) => details['code'])
}

function split(text: string): Answer[] {
  return text.split(/(?=HTTP\/1\.1 \d{3} )/).map(toAnswer)
}

/** One character of a payload is another. */
function tampered(baggage: string): string {
  const [, compact = ''] = /kest\.passport=%5B%22([\w.-]+)%22%5D/.exec(baggage) ?? []
  const other = compact.replace(/.(?=.{60}$)/, (letter) => (letter === 'x' ? 'y' : 'x'))
  return baggage.replace(compact, other)
}
