import { mkdtemp, rm } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { inspect } from 'node:util'
import { createKest, type PolicyEngine } from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'
import { kestFastify } from '@kest/fastify'
import { fastify } from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type OPAOptions, OPAPolicyEngine } from '../src/index.js'
import { requestOf } from './support/context.js'
import { json, result, scriptedOpa } from './support/scripted-opa.js'

const TOKEN = 'c2VjcmV0'

function engineAt(url: string, options: Omit<OPAOptions, 'url'> = {}): OPAPolicyEngine {
  const engine = new OPAPolicyEngine({ url, timeoutMs: 60_000, ...options })
  onTestFinished(() => engine.close())
  return engine
}

function ask(
  engine: PolicyEngine,
  policies: string | readonly string[],
  signal = new AbortController().signal,
) {
  return engine.evaluate(requestOf(policies), { signal })
}

describe('asking OPA', () => {
  it('posts the context as input to the document of the policy', async () => {
    const opa = await scriptedOpa(result(true))
    expect(await ask(engineAt(opa.url), 'orders/read')).toBe(true)
    const { context } = requestOf('orders/read')
    expect(opa.asked).toEqual([
      expect.objectContaining({ method: 'POST', path: '/v1/data/orders/read', body: { input: context } }),
    ])
  })

  it.each([
    ['true', { result: true }, true],
    ['allow: true', { result: { allow: true } }, true],
    [
      'a reason to allow',
      { result: { allow: true, reason: ['owner', 'on call'] } },
      { allow: true, reason: 'orders/read: owner; on call' },
    ],
    ['false', { result: false }, { allow: false, reason: 'orders/read' }],
    ['a reason', { result: { allow: false, reason: 'no' } }, { allow: false, reason: 'orders/read: no' }],
    ['an undefined document', {}, { allow: false, reason: 'orders/read: undefined' }],
    ['no allow', { result: { deny: false } }, { allow: false, reason: 'orders/read: undefined' }],
    [
      'a result from a prototype',
      JSON.parse('{"__proto__":{"result":true}}'),
      { allow: false, reason: 'orders/read: undefined' },
    ],
  ])('understands %s', async (_, body, decision) => {
    const opa = await scriptedOpa((response) => json(response, body))
    expect(await ask(engineAt(opa.url), 'orders/read')).toEqual(decision)
  })

  it.each([[false], [true]])('says why each policy allows, when it knows (batch: %s)', async (batch) => {
    const documents = { a: { allow: true, reason: 'owner' }, b: true, c: { allow: true, reason: 'on call' } }
    const opa = await scriptedOpa((response, { path }) => {
      const batched = [{ p0: documents.a, p1: documents.b, p2: documents.c }]
      result(batch ? batched : documents[path.at(-1) as 'a' | 'b' | 'c'])(response)
    })
    expect(await ask(engineAt(opa.url, { batch }), ['a', 'b', 'c'])).toEqual({
      allow: true,
      reason: 'a: owner; c: on call',
    })
  })

  it('TC-08 K-ASK asks all policies at once, and reports the first in order that does not allow', async () => {
    const held: ServerResponse[] = []
    const opa = await scriptedOpa((response, { path }) => {
      if (path === '/v1/data/a') held.push(response)
      else json(response, { result: path !== '/v1/data/b' }, path === '/v1/data/c' ? 500 : 200)
      // The first is answered last.
      if (opa.asked.length === 3) json(held[0] as ServerResponse, { result: true })
    })
    expect(await ask(engineAt(opa.url), ['a', 'b', 'c'])).toEqual({ allow: false, reason: 'b' })
    expect(opa.asked.map(({ path }) => path).toSorted()).toEqual(['/v1/data/a', '/v1/data/b', '/v1/data/c'])
    await expect(ask(engineAt(opa.url), ['c', 'b'])).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
  })

  it('K-ASK asks for all tiers at once, and shows each what it would show it alone', async () => {
    const held: ServerResponse[] = []
    let together = false
    const opa = await scriptedOpa((response) => {
      held.push(response)
      if (held.length === 3 || !together) for (const one of held.splice(0)) result(true)(one)
    })
    const engine = engineAt(opa.url)
    const { signal } = new AbortController()
    const { context } = requestOf('none', {
      object: { id: 'ü"\\', attributes: { list: [1, { a: null }], no: undefined as never } },
    })
    const requests = (['enterprise', 'platform', 'function'] as const).map((policy_tier) => ({
      ...requestOf(policy_tier),
      context: {
        ...context,
        environment: { ...context.environment, policy_tier, policy_names: [policy_tier] },
      },
    }))
    const alone = []
    for (const request of requests) {
      expect(await engine.evaluate(request, { signal })).toBe(true)
      alone.push(opa.asked.at(-1))
    }
    together = true
    expect(await Promise.all(engine.evaluateAll(requests, { signal }))).toEqual([true, true, true])
    const byPath = (path?: string) => opa.asked.slice(3).find((one) => one.path === path)?.body
    expect(alone.map((one) => byPath(one?.path))).toEqual(alone.map((one) => one?.body))
    expect(alone.map((one) => one?.body)).toEqual(
      requests.map(({ context: seen }) => JSON.parse(JSON.stringify({ input: seen }))),
    )
  })

  it('K-ASK a denial is not waited for behind, and takes later questions along', async () => {
    const opa = await scriptedOpa((response, { path }) => {
      if (path === '/v1/data/no') json(response, { result: false })
    })
    const kest = createKest({
      identity: new MockIdentityProvider('spiffe://example.org/orders'),
      engine: engineAt(opa.url),
      logger: new RecordingLogger(),
      policyTimeoutMs: 60_000,
    })
    const operation = { operation: 'x', policy: ['no', 'slow'], origin: 'user_input' } as const
    await expect(kest.begin(operation)).rejects.toMatchObject({ code: 'ERR_KEST_DENIED', reason: 'no' })
    await opa.asked.find(({ path }) => path === '/v1/data/slow')?.abandoned
  })

  it('asks at paths, and reads decisions, as it is told', async () => {
    const opa = await scriptedOpa(result({ authz: { permit: true } }))
    const decisionPath = { 'orders/read': 'authz.permit' }
    const engine = engineAt(`${opa.url}/opa/`, { paths: { 'orders/read': 'acme/ü%2e/read' }, decisionPath })
    expect(await ask(engine, 'orders/read')).toBe(true)
    expect(await ask(engine, 'else')).toMatchObject({ allow: false })
    expect(opa.asked.map(({ path }) => path)).toEqual([
      '/opa/v1/data/acme/%C3%BC%252e/read',
      '/opa/v1/data/else',
    ])
  })

  it('with batch asks for several documents in one round trip', async () => {
    const opa = await scriptedOpa(result([{ p0: true, p1: { allow: false, reason: 'no' } }]))
    const engine = engineAt(opa.url, { batch: true })
    expect(await ask(engine, ['orders/read', 'orders/"write"'])).toEqual({
      allow: false,
      reason: 'orders/"write": no',
    })
    expect(opa.asked).toEqual([
      expect.objectContaining({
        path: '/v1/query',
        body: expect.objectContaining({
          query: 'p0 = data["orders"]["read"]; p1 = data["orders"]["\\"write\\""]',
        }),
      }),
    ])
  })

  it.each([
    ['no result', {}, { allow: false, reason: 'a, b: undefined' }],
    ['an empty one', { result: [] }, { allow: false, reason: 'a, b: undefined' }],
    ['both allow', { result: [{ p0: true, p1: { allow: true } }] }, true],
  ])('with batch understands %s', async (_, body, decision) => {
    const opa = await scriptedOpa((response) => json(response, body))
    expect(await ask(engineAt(opa.url, { batch: true }), ['a', 'b'])).toEqual(decision)
  })

  it.each([
    ['one document of two', { result: [{ p0: true }] }],
    [
      'two sets of bindings',
      {
        result: [
          { p0: true, p1: true },
          { p0: true, p1: true },
        ],
      },
    ],
    ['no bindings', { result: ['x'] }],
    ['no list', { result: true }],
    ['no decision', { result: [{ p0: true, p1: 'yes' }] }],
  ])('with batch takes %s for no answer', async (_, body) => {
    const opa = await scriptedOpa((response) => json(response, body))
    await expect(ask(engineAt(opa.url, { batch: true }), ['a', 'b'])).rejects.toMatchObject({
      code: 'ERR_KEST_ENGINE_ANSWER',
      statusCode: 503,
    })
  })

  it('shows a token, which may change, and never shows it to anybody else', async () => {
    const opa = await scriptedOpa(result(true))
    let n = 0
    await ask(engineAt(opa.url, { token: TOKEN }), 'a')
    const changing = engineAt(opa.url, { token: async () => `${TOKEN}${++n}` })
    await ask(changing, 'a')
    await ask(changing, 'a')
    expect(opa.asked.map(({ authorization }) => authorization)).toEqual([
      `Bearer ${TOKEN}`,
      `Bearer ${TOKEN}1`,
      `Bearer ${TOKEN}2`,
    ])
    const failing = engineAt(opa.url, { token: () => `${TOKEN}\r\nx: y` })
    const error: unknown = await Promise.resolve(ask(failing, 'a')).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'ERR_KEST_ENGINE' })
    for (const shown of [inspect(error, { depth: 9 }), inspect(changing, { depth: 9, showHidden: true })])
      expect(shown).not.toContain(TOKEN)
  })

  it('does not wait longer for a token than for all else', async () => {
    const opa = await scriptedOpa(result(true))
    const engine = engineAt(opa.url, { token: () => new Promise(() => {}), timeoutMs: 50 })
    await expect(ask(engine, 'a')).rejects.toMatchObject({
      code: 'ERR_KEST_ENGINE_TIMEOUT',
      reason: expect.stringContaining(`OPA at ${engine.address} did not answer`),
    })
    expect(opa.asked).toEqual([])
  })

  it('asks over a Unix socket', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kest-opa-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const socketPath = join(folder, 'opa.sock')
    const opa = await scriptedOpa(result(true), { socketPath })
    expect(await ask(engineAt('http://localhost', { socketPath }), 'a')).toBe(true)
    expect(opa.asked).toHaveLength(1)
  })

  it('means a Unix socket from where it was made, wherever the process goes', () => {
    const socketPath = join(tmpdir(), 'opa.sock')
    const engine = engineAt('http://opa', { socketPath: relative(process.cwd(), socketPath) })
    expect(engine.address).toBe(`http://opa/ at ${socketPath}`)
  })

  it('says whether OPA is healthy', async () => {
    let status = 200
    const opa = await scriptedOpa((response) => json(response, {}, status))
    const engine = engineAt(opa.url)
    await engine.health()
    await engine.health({ bundles: true })
    status = 500
    await expect(engine.health()).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
    expect(opa.asked.map(({ method, path, query }) => `${method} ${path}${query}`)).toEqual([
      'GET /health',
      'GET /health?bundles',
      'GET /health',
    ])
    await engine.close()
    await expect(engine.health()).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
  })
})

describe('an OPA that does not answer as it should', () => {
  /** The question is asked by then, on any machine. */
  const TIMEOUT_MS = 2_000

  type Fault = readonly [what: string, answer: (response: ServerResponse) => void, code: string]

  const faults: readonly Fault[] = [
    ['500', (response) => json(response, { result: true }, 500), 'ERR_KEST_ENGINE'],
    ['401', (response) => json(response, { result: true }, 401), 'ERR_KEST_ENGINE'],
    [
      'a redirect',
      (response) => response.writeHead(302, { location: '/v1/data/yes' }).end('{"result":true}'),
      'ERR_KEST_ENGINE',
    ],
    ['malformed JSON', (response) => response.end('{"result":true'), 'ERR_KEST_ENGINE_ANSWER'],
    ['an empty answer', (response) => response.end(), 'ERR_KEST_ENGINE_ANSWER'],
    ['JSON that is no object', (response) => response.end('true'), 'ERR_KEST_ENGINE_ANSWER'],
    ['a string for a result', (response) => json(response, { result: 'true' }), 'ERR_KEST_ENGINE_ANSWER'],
    ['a number for allow', (response) => json(response, { result: { allow: 1 } }), 'ERR_KEST_ENGINE_ANSWER'],
    ['null for a result', (response) => json(response, { result: null }), 'ERR_KEST_ENGINE_ANSWER'],
    ['a reset before the answer', (response) => response.destroy(), 'ERR_KEST_ENGINE'],
    [
      'a reset in the middle',
      (response) => {
        response.writeHead(200, { 'content-length': '100' })
        response.write('{"result":true}', () => response.destroy())
      },
      'ERR_KEST_ENGINE',
    ],
    [
      '10 MB',
      (response) => response.end(`{"result":true,"x":"${'x'.repeat(10 * 1024 * 1024)}"}`),
      'ERR_KEST_ENGINE',
    ],
    ['silence', () => {}, 'ERR_KEST_ENGINE_TIMEOUT'],
    [
      'a slow drip',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        const drip = setInterval(() => response.write(' '), 20)
        response.on('close', () => clearInterval(drip))
      },
      'ERR_KEST_ENGINE_TIMEOUT',
    ],
  ]

  it.each(faults)(
    'NF-SEC-03 %s: the operation does not run, and the client is told a code',
    async (_, answer, code) => {
      const opa = await scriptedOpa(answer)
      // Who is to be told of something else than the time has all the time there is.
      const timeoutMs = code === 'ERR_KEST_ENGINE_TIMEOUT' ? TIMEOUT_MS : 60_000
      await expectRefusal(engineAt(opa.url, { timeoutMs }), 503, code)
      expect(opa.asked).toHaveLength(1)
    },
  )

  it('TC-07 denies with 403, and shows no reason', async () => {
    const opa = await scriptedOpa(result({ allow: false, reason: 'a secret of the policy' }))
    await expectRefusal(engineAt(opa.url), 403, 'ERR_KEST_DENIED')
  })

  it('TC-09 nobody listens: the operation does not run', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    await new Promise((resolve) => server.close(resolve))
    await expectRefusal(engineAt(`http://127.0.0.1:${port}`), 503, 'ERR_KEST_ENGINE')
  })

  it('the hook’s own time-out ends a question, whatever the engine’s is', async () => {
    const opa = await scriptedOpa(() => {})
    const engine = engineAt(opa.url)
    await expectRefusal(engine, 503, 'ERR_KEST_ENGINE_TIMEOUT', { policyTimeoutMs: TIMEOUT_MS })
    await opa.asked[0]?.abandoned
  })

  it('a client that leaves while OPA decides takes the question along, and nothing runs', async () => {
    const opa = await scriptedOpa(() => {})
    const { app, ran } = await serviceWith(engineAt(opa.url), {
      policyTimeoutMs: 60_000,
    })
    const asked = opa.next()
    const client = new AbortController()
    const answer = fetch(await app.listen({ host: '127.0.0.1', port: 0 }), { signal: client.signal })
    const { abandoned } = await asked
    client.abort()
    await expect(answer).rejects.toThrow()
    await abandoned
    expect(ran()).toBe(0)
  })

  it('ends at once for whoever has left before', async () => {
    const opa = await scriptedOpa(result(true))
    await expect(ask(engineAt(opa.url), 'a', AbortSignal.abort())).rejects.toMatchObject({
      code: 'ERR_KEST_ENGINE',
    })
    expect(opa.asked).toEqual([])
  })

  async function expectRefusal(
    engine: PolicyEngine,
    status: number,
    code: string,
    options: { readonly policyTimeoutMs?: number } = {},
  ): Promise<void> {
    const { app, ran } = await serviceWith(engine, options)
    const response = await app.inject('/')
    expect(response.statusCode).toBe(status)
    expect(response.json()).toMatchObject({ status, code })
    expect(response.body).not.toMatch(/secret|127\.0\.0\.1/)
    expect(ran()).toBe(0)
  }

  async function serviceWith(engine: PolicyEngine, options: { readonly policyTimeoutMs?: number }) {
    const kest = createKest({
      identity: new MockIdentityProvider('spiffe://example.org/orders'),
      engine,
      logger: new RecordingLogger(),
      policyTimeoutMs: 60_000,
      ...options,
    })
    const app = fastify()
    onTestFinished(() => app.close())
    await app.register(kestFastify, { kest, origin: 'user_input' })
    let runs = 0
    app.get('/', { config: { kest: { policy: 'orders/read' } } }, () => `ran ${++runs}`)
    return { app, ran: () => runs }
  }
})

describe('options', () => {
  it.each([
    [{}, 'url: expected'],
    [{ url: 'file:///x' }, 'url: expected'],
    [{ url: 'http://user:pass@127.0.0.1' }, 'url: expected'],
    [{ url: 'http://127.0.0.1?x' }, 'url: expected'],
    [{ url: 'http://127.0.0.1', timeout: 1 }, 'unknown option "timeout"'],
    [{ url: 'http://127.0.0.1', timeoutMs: 0 }, 'timeoutMs'],
    [{ url: 'http://127.0.0.1', timeoutMs: 2 ** 31 }, 'timeoutMs'],
    [{ url: 'http://127.0.0.1', maxAnswerBytes: 1.5 }, 'maxAnswerBytes'],
    [{ url: 'http://127.0.0.1', connections: 0 }, 'connections'],
    [{ url: 'http://127.0.0.1', token: 'two words' }, 'token: expected a bearer token'],
    [{ url: 'http://127.0.0.1', batch: 'yes' }, 'batch'],
    [{ url: 'http://127.0.0.1', socketPath: '' }, 'socketPath'],
    [{ url: 'http://127.0.0.1', socketPath: '/run/opa.sock\0' }, 'socketPath: expected a path'],
    [{ url: 'http://127.0.0.1', socketPath: `/run/${'a'.repeat(99)}` }, 'is longer than 103 bytes'],
    [{ url: 'http://127.0.0.1', connect: {} }, 'connect: expected a connector'],
    [{ url: 'http://127.0.0.1', connect: () => {}, tls: {} }, 'connect: connects by itself'],
    [{ url: 'http://127.0.0.1', paths: { a: 'b?c' } }, 'expected a path'],
    [{ url: 'http://127.0.0.1', decisionPath: 'a..b' }, 'decisionPath'],
    [{ url: 'http://127.0.0.1', decisionPath: { a: 7 } }, 'decisionPath'],
  ])('%j is refused when the engine is made', (options, message) => {
    expect(() => new OPAPolicyEngine(options as unknown as OPAOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_CONFIG', message: expect.stringContaining(message) }),
    )
  })
})
