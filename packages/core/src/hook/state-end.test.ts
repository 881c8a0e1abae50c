import { AsyncResource } from 'node:async_hooks'
import { generateKeyPairSync } from 'node:crypto'
import { context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { SignJWT } from 'jose'
import { afterEach, describe, expect, it } from 'vitest'
import { stateWith } from '../../tests/support/states.js'
import { createKest, type Kest } from '../config/kest.js'
import type { KestOptions } from '../config/options.js'
import { getCurrentJwt, getCurrentPassport, getCurrentUser } from '../context/accessors.js'
import { currentState, type KestState } from '../context/state.js'
import { parseEntry } from '../entry/parse.js'
import { KestError } from '../errors.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { toProblem } from '../ingress/problem.js'
import { DEFAULT_LIMITS } from '../limits.js'
import { FakeClock } from '../testing/fake-clock.js'
import { MockPolicyEngine } from '../testing/mock-engine.js'
import { RecordingLogger } from '../testing/recording-logger.js'

const PEER = new URL('http://hop2:8000/orders')
const ENDED = { code: 'ERR_KEST_STATE_ENDED' }

/** A service at an edge, with a clock of its own. */
class Service {
  readonly clock = new FakeClock()
  readonly logger = new RecordingLogger()
  readonly engine = new MockPolicyEngine()
  readonly kest: Kest

  constructor(options: KestOptions = {}) {
    const { clock, logger, engine } = this
    const identity = new MockIdentityProvider('spiffe://state.test/service')
    this.kest = createKest({ identity, engine, clock, logger, ...options })
  }

  readonly op = <T>(operation: string, fn: () => T, more = {}) =>
    this.kest.verified({ operation, policy: 'test', ...more }, fn)

  /** What a call to a peer would carry now. */
  readonly send = async () => (await this.kest.inject({}, PEER)) as { readonly baggage?: string }

  readonly request = (options = {}) => this.kest.extract({}, { origin: 'user_input', ...options })
}

/** Names of the operations in the ambient passport. */
function lineage(): string[] {
  const entries = getCurrentPassport()?.entries ?? []
  return entries.map((jws) => parseEntry(jws, { limits: DEFAULT_LIMITS }).entry.operation)
}

describe('K-STATE a state that was received', () => {
  it('K-STATE ends by its opener: nothing begins in it, nothing is sent from it, and accessors still read', async () => {
    const { kest, op, send, request, logger } = new Service()
    const state = await request()
    await kest.run(state, async () => {
      await op('read', () => 1, { user: 'alice' })()
      expect((await send()).baggage).toContain('kest.passport')
    })
    kest.end(state)
    kest.end(state)
    await kest.run(state, async () => {
      expect(lineage()).toEqual(['read'])
      expect(currentState()).toBe(state)
      await expect(op('late', () => expect.unreachable())()).rejects.toMatchObject(ENDED)
      await expect(op('root', () => expect.unreachable(), { origin: 'system' })()).rejects.toMatchObject(
        ENDED,
      )
      await expect(send()).rejects.toMatchObject(ENDED)
      expect(() => kest.keep()).toThrow(expect.objectContaining(ENDED))
    })
    expect(logger.records).toContainEqual(
      expect.objectContaining({ details: expect.objectContaining({ ...ENDED, operation: 'late' }) }),
    )
  })

  it('K-STATE is neither ended nor revived by kest.run', async () => {
    const service = new Service()
    const state = await service.request()
    await service.kest.run(state, async () => undefined)
    await service.kest.run(
      state,
      service.op('one', () => 1),
    )
    service.kest.end(state)
    await expect(
      service.kest.run(
        state,
        service.op('two', () => 2),
      ),
    ).rejects.toMatchObject(ENDED)
    await expect(service.op('three', () => 3).with(state)()).rejects.toMatchObject(ENDED)
  })

  it('K-STATE ends while an operation in it is decided: that does not run, and nothing is signed', async () => {
    let decide: (allow: boolean) => void = () => undefined
    const service = new Service({
      engine: { evaluate: () => new Promise<boolean>((resolve) => (decide = resolve)) },
    })
    const state = await service.request()
    const begun = service.kest.run(
      state,
      service.op('slow', () => expect.unreachable()),
    )
    await new Promise(setImmediate)
    service.kest.end(state)
    decide(true)
    await expect(begun).rejects.toMatchObject(ENDED)
    expect(state.frame.lineage.length).toBe(0)
  })

  it('K-STATE is good for maxStateMs, by default maxAgeMs, and for what it begins no longer', async () => {
    for (const [options, ms] of [
      [{ maxStateMs: 5_000 }, 5_000],
      [{}, 3_600_000],
    ] as const) {
      const service = new Service()
      const state = await service.request(options)
      const { kest, clock, op, send } = service
      await kest.run(state, async () => {
        const kept = kest.keep()
        await op('outer', async () => {
          clock.advance(ms - 1)
          await op('inner', () => 1)()
          await send()
          await kept.run(send)
          clock.advance(1)
          await expect(op('late', () => 1)()).rejects.toMatchObject(ENDED)
          await expect(send()).rejects.toMatchObject(ENDED)
          await expect(kept.run(send)).rejects.toMatchObject(ENDED)
        })()
      })
      await expect(op('late', () => 1).with(state)()).rejects.toMatchObject(ENDED)
    }
  })

  it('K-STATE ends with its token, the tolerance for clocks included', async () => {
    const { clock, kest, op, send } = new Service()
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const exp = Math.floor(clock.now() / 1000) + 10
    const jwt = await new SignJWT({ sub: 'alice', exp })
      .setProtectedHeader({ alg: 'EdDSA' })
      .setIssuer('https://id.test')
      .setAudience('here')
      .sign(privateKey)
    const token = { jwks: publicKey, issuer: 'https://id.test', audience: 'here', clockToleranceMs: 2_000 }
    const state = await kest.extract({ authorization: `Bearer ${jwt}` }, { origin: 'user_input', token })
    await kest.run(state, async () => {
      clock.advance(exp * 1000 + 1_999 - clock.now())
      await op('in time', send)()
      clock.advance(1)
      await expect(op('late', () => 1)()).rejects.toMatchObject(ENDED)
      expect(getCurrentJwt()).toBe(jwt)
    })
  })

  it('K-STATE a request outside the scope leaves as ever, without a passport', async () => {
    const { kest, request } = new Service()
    const state = await request()
    kest.end(state)
    const outbound = kest.outbound({ propagateTo: ['http://hop3:8000'] })
    expect(kest.run(state, () => outbound.baggage('a=1', PEER))).toBe('a=1')
  })
})

describe('K-STATE an operation', () => {
  it('K-STATE ends when its invocation settles, and its caller goes on', async () => {
    const { kest, op, send, request } = new Service()
    const state = await request()
    let leaked: KestState | null = null
    const inner = op('inner', () => {
      leaked = currentState()
    })
    const failing = op('failing', () => {
      leaked = currentState()
      throw new Error('no')
    })
    await kest.run(state, async () => {
      await inner()
      await expect(kest.run(leaked as unknown as KestState, send)).rejects.toMatchObject(ENDED)
      await failing().catch(() => undefined)
      await expect(kest.run(leaked as unknown as KestState, send)).rejects.toMatchObject(ENDED)
      expect((await send()).baggage).toContain('kest.passport')
    })
  })

  it('K-STATE is not ended with the request that it began in: its opener alone ends it', async () => {
    const { kest, op, send, request } = new Service()
    const state = await request()
    await kest.run(
      state,
      op('slow', async () => {
        kest.end(state)
        expect((await send()).baggage).toContain('kest.passport')
        await op('child', () => 1)()
      }),
    )
    expect(state.frame.lineage.length).toBe(2)
  })

  it('K-STATE that was begun ends when whoever began it settles it, at once or some time later', async () => {
    const { kest, clock, send } = new Service()
    const begin = async () => {
      const operation = await kest.begin({ operation: 'o', policy: 'test', origin: 'system' })
      return { operation, state: operation.enter() }
    }
    const first = await begin()
    await kest.run(first.state, send)
    first.operation.settle()
    await expect(kest.run(first.state, send)).rejects.toMatchObject(ENDED)

    const second = await begin()
    second.operation.settle(1_000)
    clock.advance(999)
    await kest.run(second.state, send)
    second.operation.settle(60_000)
    clock.advance(1)
    await expect(kest.run(second.state, send)).rejects.toMatchObject(ENDED)
  })

  it('K-STATE outside any request is good for the maxStateMs of the instance', async () => {
    const { clock, op, send } = new Service({ maxStateMs: 1_000 })
    await op(
      'job',
      async () => {
        clock.advance(999)
        await send()
        clock.advance(1)
        await expect(send()).rejects.toMatchObject(ENDED)
      },
      { origin: 'system' },
    )()
    expect(() => createKest({ maxStateMs: 0 })).toThrow(/maxStateMs/)
  })

  it('K-STATE abort ends nothing: it stops operations that have not begun, not the calls of one that began', async () => {
    const { kest, op, send } = new Service()
    const controller = new AbortController()
    const listener = kest.listener({ origin: 'user_input' })
    const state = await listener.receive({ headers: {}, signal: controller.signal })
    await kest.run(
      state,
      op('begun', async () => {
        controller.abort()
        expect((await send()).baggage).toContain('kest.passport')
        await expect(op('not begun', () => 1)()).rejects.toMatchObject({ code: 'ERR_KEST_ABORTED' })
      }),
    )
    expect((await kest.run(state, send)).baggage).toContain('kest.passport')
  })
})

describe('K-STATE kest.keep()', () => {
  it('K-STATE answers a state for work that goes on, without signal and token, until its handle ends it', async () => {
    const { kest, op, send } = new Service()
    const state = stateWith({ origin: 'user_input', jwt: 'secret', signal: AbortSignal.abort() })
    const kept = kest.keep(state)
    expect(kept.state).toMatchObject({ jwt: null, signal: null, origin: 'user_input' })
    kest.end(state)
    await kept.run(async () => {
      expect(getCurrentJwt()).toBeNull()
      await op('background', send)()
      expect(lineage()).toEqual(['background'])
    })
    expect(state.frame.lineage.length).toBe(0)
    kept.end()
    await expect(kept.run(send)).rejects.toMatchObject(ENDED)
    let used: KestState
    {
      using second = kest.keep(stateWith({ origin: 'system' }))
      used = second.state
      await second.run(op('used', () => 1))
    }
    expect(used.lifetime.ended).toBe(true)
  })

  it('K-STATE has nothing to keep where there is no state', () => {
    expect(() => new Service().kest.keep()).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_LINEAGE_MISSING' }),
    )
  })
})

describe('K-STATE kest.fork()', () => {
  it('K-STATE what begins from forks follows the state, and neither follows nor joins the others', async () => {
    const { kest, op, request } = new Service()
    const state = await request()
    await kest.run(
      state,
      op('handshake', () => undefined),
    )
    const message = (name: string) => op(name, () => lineage()).with(kest.fork(state))()
    expect(await message('first')).toEqual(['handshake', 'first'])
    expect(await Promise.all([message('second'), message('third')])).toEqual([
      ['handshake', 'second'],
      ['handshake', 'third'],
    ])
    expect(state.frame.lineage.length).toBe(1)
    kest.end(state)
    await expect(message('late')).rejects.toMatchObject(ENDED)
  })
})

describe('K-STATE explicit forms', () => {
  afterEach(() => context.disable())

  const users = ['alice', 'bob', null] as const

  it.each([false, true])(
    'K-STATE kest.bind() runs a function where it was bound, and where nothing was in nothing (OpenTelemetry: %s)',
    (instrumented) => {
      if (instrumented) context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
      const { kest } = new Service()
      const stateOf = (user: string | null) =>
        stateWith({ identity: { context: { user, agent: null, task: null }, by: null } })
      const bound = users.map((user) => {
        const bind = () => kest.bind((...args: string[]) => [getCurrentUser(), ...args])
        return user === null ? bind() : kest.run(stateOf(user), bind)
      })
      const elsewhere = new AsyncResource('elsewhere')
      for (const call of [
        <T>(fn: () => T) => fn(),
        <T>(fn: () => T) => kest.run(stateOf('mallory'), fn),
        <T>(fn: () => T) => elsewhere.runInAsyncScope(fn),
      ]) {
        expect(call(() => bound.map((fn) => fn('x')))).toEqual(users.map((user) => [user, 'x']))
      }
      const methods = {
        name: 'own',
        get: kest.bind(function (this: { name: string }) {
          return this.name
        }),
      }
      expect(methods.get()).toBe('own')
      expect(() => kest.bind('fn' as never)).toThrow(TypeError)
    },
  )

  it('K-STATE verified(…).with(state) begins from that state, whoever calls, and from none when told so', async () => {
    const { kest, op, request, send } = new Service()
    const [alice, bob] = [await request(), await request()]
    await kest.run(
      bob,
      op('bob’s', () => 1),
    )
    await kest.run(
      alice,
      op('alice’s', () => 1),
    )
    const seen = op('seen', () => lineage())
    expect(await kest.run(bob, () => seen.with(alice)())).toEqual(['alice’s', 'seen'])
    await expect(kest.run(bob, () => seen.with(null)())).rejects.toMatchObject({
      code: 'ERR_KEST_LINEAGE_MISSING',
    })
    expect(() => seen.with(undefined as never)).toThrow(TypeError)
    expect(seen.with(alice).name).toBe(seen.name)

    const method = kest.verified(
      { operation: 'm', policy: 'test' },
      function (this: { id: number }, n: number) {
        return this.id + n
      },
    )
    expect(await method.with(alice).call({ id: 1 }, 2)).toBe(3)

    const explicit = await kest.run(bob, () => kest.inject({}, PEER, { state: alice }))
    expect(explicit).not.toEqual(await kest.run(bob, send))
    expect(explicit).toEqual(await kest.run(alice, send))
  })
})

describe('K-STATE a call where the state was lost', () => {
  it('K-STATE leaves without a passport, is counted, and is warned of once a minute', () => {
    const { kest, logger } = new Service()
    const outbound = kest.outbound({ propagateTo: [PEER.origin] })
    for (let n = 0; n < 100; n++) expect(outbound.baggage(undefined, PEER)).toBeUndefined()
    expect(outbound.baggage(undefined, new URL('http://elsewhere/'))).toBeUndefined()
    expect(outbound.baggage(undefined, PEER, null)).toBeUndefined()
    expect(logger.records).toEqual([
      expect.objectContaining({ level: 'warn', details: { origin: PEER.origin, count: 1 } }),
    ])
  })
})

it('K-STATE a client learns the code, and no more', () => {
  const { status, body } = toProblem(new KestError('ERR_KEST_STATE_ENDED', 'operation "x": inner workings'))
  expect({ status, body }).toMatchObject({ status: 500, body: { code: 'ERR_KEST_STATE_ENDED' } })
  expect(JSON.stringify(body)).not.toContain('inner')
})
