import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { isDeepStrictEqual, promisify } from 'node:util'
import { createKest, type PolicyRequest } from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { CedarPolicyEngine, type CedarPolicyOptions } from '../src/index.js'
import { inProcess, outcomeOf } from './support/outcome.js'
import { readRecording } from './support/recording.js'
import { requestOf } from './support/requests.js'
import { CASES } from './support/table.js'

const recording = readRecording()
const recorded = (name: string): object => recording.cases[name]?.at(0)?.answer as object
const ALLOW = recorded('enough trust')
const FORBIDDEN = recorded('a taint that is forbidden')
const UNPERMITTED = recorded('too little trust')

interface Seen {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: Readonly<Record<string, unknown>>
}

type Answer = (response: ServerResponse, body: Seen['body']) => void

const json =
  (answer: unknown, status = 200): Answer =>
  (response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer))

/** An agent that answers as told, and an engine that asks it. */
async function agent(answer: Answer, options: Partial<CedarPolicyOptions> = {}) {
  const seen: Seen[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      // Whoever leaves before his question is whole is not answered.
      return
    }
    const body = JSON.parse(Buffer.concat(chunks).toString('utf8'))
    seen.push({ method: request.method, url: request.url, headers: request.headers, body })
    answer(response, body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const engine = new CedarPolicyEngine({
    url: `http://127.0.0.1:${port}/v1`,
    timeoutMs: 60_000,
    ...options,
  })
  onTestFinished(async () => {
    await engine.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { engine, seen, port, server }
}

const signal = () => new AbortController().signal
const ask = (engine: CedarPolicyEngine, request: PolicyRequest = requestOf('orders/read')) =>
  engine.evaluate(request, { signal: signal() })

describe('a Cedar Agent', () => {
  it('K-FLAT is asked with principal, action, resource and the flat context', async () => {
    const { engine, seen } = await agent(json(ALLOW), { authorization: 'key' })
    const attributes = { owner: 'alice', trust_score: 100, note: null }
    const request = requestOf('orders/"read"', { object: { id: 'a\\b', attributes } })
    expect(await ask(engine, request)).toMatchObject({ allow: true })
    const [{ method, url, headers, body } = {} as Seen] = seen
    expect([method, url, headers.authorization, headers['content-type']]).toEqual([
      'POST',
      '/v1/is_authorized',
      'key',
      'application/json',
    ])
    expect(headers).not.toHaveProperty('baggage')
    expect(body).toMatchObject({
      principal: 'Workload::"spiffe://kest.test/orders"',
      action: 'Action::"orders/\\"read\\""',
      resource: 'Resource::"a\\\\b"',
      context: { trust_score: 40, user: 'alice', attributes: { owner: 'alice', trust_score: 100 } },
    })
    expect(Object.keys(body).sort()).toEqual(['action', 'context', 'principal', 'resource'])
  })

  it.each<[string, unknown, unknown]>([
    ['Allow', ALLOW, { allow: true, reason: 'orders/read: permitted by readers' }],
    ['Allow without diagnostics', { decision: 'Allow' }, { allow: true }],
    [
      'Allow for two policies, in any order',
      { decision: 'Allow', diagnostics: { reason: ['b', 'a'], errors: [] } },
      { allow: true, reason: 'orders/read: permitted by a, b' },
    ],
    ['Deny of a policy', FORBIDDEN, { allow: false, reason: 'orders/read: forbidden by no-secrets' }],
    ['Deny of none', UNPERMITTED, { allow: false, reason: 'orders/read: no policy permits it' }],
  ])('answers %s', async (_, answer, expected) => {
    const { engine } = await agent(json(answer))
    expect(await ask(engine)).toEqual(expected)
  })

  it('NF-SEC-03 is not asked when the id of the object was withheld', async () => {
    const { engine, seen } = await agent(json(ALLOW))
    const { object, ...rest } = requestOf('orders/read').context
    const context = { ...rest, object: { attributes: object.attributes } } as PolicyRequest['context']
    await expect(ask(engine, { ...requestOf('orders/read'), context })).rejects.toMatchObject({
      code: 'ERR_KEST_ENGINE',
      reason: 'orders/read: object.id: it was withheld, and is the resource',
    })
    expect(seen).toEqual([])
  })

  it('F-PE-03 K-ASK is asked for all policies at once, and the first in order that does not allow is the answer', async () => {
    const held: ServerResponse[] = []
    const { engine, seen } = await agent((response, { action }) => {
      if (action === 'Action::"a"') held.push(response)
      else
        json(action === 'Action::"b"' ? UNPERMITTED : ALLOW, action === 'Action::"c"' ? 500 : 200)(
          response,
          {},
        )
      // The first is answered last.
      if (seen.length === 3) json(ALLOW)(held[0] as ServerResponse, {})
    })
    expect(await ask(engine, requestOf(['a', 'b', 'c']))).toMatchObject({
      allow: false,
      reason: 'b: no policy permits it',
    })
    const actions = seen.map(({ body }) => body['action'])
    expect(actions.toSorted()).toEqual(['Action::"a"', 'Action::"b"', 'Action::"c"'])
    await expect(ask(engine, requestOf(['c', 'b']))).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
  })

  it('K-ASK is asked for all tiers at once', async () => {
    const held: (() => void)[] = []
    const { engine } = await agent((response, { action }) => {
      held.push(() => json(action === 'Action::"b"' ? UNPERMITTED : ALLOW)(response, {}))
      if (held.length === 3) for (const answer of held.toReversed()) answer()
    })
    const options = { signal: signal() }
    const outcomes = await Promise.all(engine.evaluateAll([requestOf(['a', 'b']), requestOf('c')], options))
    expect(outcomes.map(({ allow }) => allow)).toEqual([false, true])
  })

  it.each<[string, Answer, string]>([
    [
      'allows beside an error',
      json({ decision: 'Allow', diagnostics: { reason: [], errors: ['x'] } }),
      'ERR_KEST_ENGINE',
    ],
    ['answers 400', json(recording.malformed.answer, 400), 'ERR_KEST_ENGINE'],
    ['answers 401', json(recording.unauthorized.answer, 401), 'ERR_KEST_ENGINE'],
    ['answers 500 with a decision', json(ALLOW, 500), 'ERR_KEST_ENGINE'],
    ['answers 204', (response) => void response.writeHead(204).end(), 'ERR_KEST_ENGINE'],
    [
      'sends elsewhere',
      (response) => void response.writeHead(307, { location: '/v1/x' }).end(),
      'ERR_KEST_ENGINE',
    ],
    ['hangs up', (response) => void response.destroy(), 'ERR_KEST_ENGINE'],
    [
      'hangs up mid-answer',
      (response) => {
        response.writeHead(200, { 'content-length': '1000' })
        response.write('{"decision":"Allow"', () => response.destroy())
      },
      'ERR_KEST_ENGINE',
    ],
    ['answers half', (response) => void response.end('{"decision":"Allow"'), 'ERR_KEST_ENGINE_ANSWER'],
    ['answers nothing', (response) => void response.end(), 'ERR_KEST_ENGINE_ANSWER'],
    ['answers in small letters', json({ decision: 'allow' }), 'ERR_KEST_ENGINE_ANSWER'],
    ['answers true', json(true), 'ERR_KEST_ENGINE_ANSWER'],
    ['answers a list', json([ALLOW]), 'ERR_KEST_ENGINE_ANSWER'],
    ['answers of the wrong type', json({ decision: true }), 'ERR_KEST_ENGINE_ANSWER'],
    [
      'has odd diagnostics',
      json({ decision: 'Allow', diagnostics: { errors: 'none' } }),
      'ERR_KEST_ENGINE_ANSWER',
    ],
    ['answers 10 MB', json({ ...ALLOW, more: 'x'.repeat(10_000_000) }), 'ERR_KEST_ENGINE_ANSWER'],
  ])('NF-SEC-03 that %s denies', async (_, answer, code) => {
    const { engine, seen } = await agent(answer)
    await expect(ask(engine)).rejects.toMatchObject({
      name: 'PolicyDeniedError',
      code,
      statusCode: 503,
      policies: ['orders/read'],
      entryId: 'entry-1',
    })
    expect(seen).toHaveLength(1)
  })

  it.each<[string, Answer]>([
    ['never answers', () => {}],
    [
      'drips',
      (response) => {
        response.writeHead(200)
        const timer = setInterval(() => response.write(' '), 5)
        response.once('close', () => clearInterval(timer))
      },
    ],
  ])('NF-SEC-03 that %s denies when the time is up, and is hung up on', async (_, answer) => {
    const { engine, server } = await agent(answer, { timeoutMs: 1_000 })
    await expect(ask(engine)).rejects.toMatchObject({
      code: 'ERR_KEST_ENGINE_TIMEOUT',
      reason: expect.stringContaining(`no decision from ${engine.address} within`),
    })
    // Also where it had not read the question yet.
    const connections = (): Promise<number> => promisify(server.getConnections).call(server)
    await expect.poll(connections).toBe(0)
  })

  it('NF-SEC-03 that is not there denies', async () => {
    const { engine, server } = await agent(json(ALLOW))
    server.closeAllConnections()
    await new Promise<void>((resolve) => server.close(() => resolve()))
    await expect(ask(engine)).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
  })

  it('NF-SEC-03 is not asked about attributes that Cedar cannot hold', async () => {
    const { engine, seen } = await agent(json(ALLOW))
    const request = requestOf('p', { object: { attributes: { price: 1.5 } } })
    await expect(ask(engine, request)).rejects.toMatchObject({
      code: 'ERR_KEST_ENGINE',
      reason: expect.stringContaining('attributes.price'),
    })
    expect(seen).toEqual([])
  })

  it('is hung up on when the caller leaves', async () => {
    let closed = false
    const { engine, seen } = await agent((response) => {
      response.once('close', () => {
        closed = true
      })
    })
    const caller = new AbortController()
    const gone = new Error('gone')
    const answer = engine.evaluate(requestOf('p'), { signal: caller.signal })
    await vi.waitFor(() => expect(seen).toHaveLength(1), { timeout: 60_000 })
    caller.abort(gone)
    await expect(answer).rejects.toBe(gone)
    await vi.waitFor(() => expect(closed).toBe(true), { timeout: 60_000 })
  })

  it('decides nothing any more once its engine is closed', async () => {
    const { engine } = await agent(json(ALLOW))
    const closing = engine.close()
    // Not one more that nobody would close.
    expect(engine.aside).toBe(engine)
    await closing
    await engine.close()
    await expect(ask(engine)).rejects.toMatchObject({ code: 'ERR_KEST_ENGINE' })
  })

  it('TC-07 TC-08 keeps an operation from running', async () => {
    const { engine } = await agent((response, { action }) =>
      json(action === 'Action::"yes"' ? ALLOW : FORBIDDEN)(response, {}),
    )
    const kest = createKest({
      identity: new MockIdentityProvider('orders'),
      engine,
      policyTimeoutMs: 60_000,
      logger: new RecordingLogger(),
    })
    const run = vi.fn()
    const protect = (policy: string | readonly [string, ...string[]]) =>
      kest.verified({ operation: 'read', policy, origin: 'system' }, run)
    await protect('yes')()
    expect(run).toHaveBeenCalledOnce()
    for (const policy of ['no', ['yes', 'no']] as const) {
      await expect(protect(policy)()).rejects.toMatchObject({
        code: 'ERR_KEST_DENIED',
        reason: 'no: forbidden by no-secrets',
      })
    }
    expect(run).toHaveBeenCalledOnce()
  })
})

describe(`${recording.of}, as it was recorded`, () => {
  const exchanges = Object.values(recording.cases).flat()

  it.each(Object.entries(CASES))('decides as Cedar in process does: %s', async (name, one) => {
    const { engine, seen } = await agent((response, body) => {
      const exchange = exchanges.find(({ asked }) => isDeepStrictEqual(asked, body))
      json(exchange?.answer, exchange?.status)(response, body)
    })
    expect(await outcomeOf(engine, one)).toEqual(one.outcome)
    expect(seen.map(({ body }) => body)).toEqual(recording.cases[name]?.map(({ asked }) => asked))
    expect(await outcomeOf(await inProcess(), one)).toEqual(one.outcome)
  })
})

describe('CedarPolicyEngine', () => {
  it.each<[unknown, RegExp]>([
    [undefined, /expected an object of options/],
    [{}, /url: expected an http/],
    [{ url: 'cedar' }, /url/],
    [{ url: 'ftp://127.0.0.1' }, /url/],
    [{ url: 'http://127.0.0.1/?a' }, /without a query/],
    [{ url: 'http://user:key@127.0.0.1/' }, /use authorization/],
    [{ url: 'http://127.0.0.1', authorization: 'a\nb' }, /authorization/],
    [{ url: 'http://127.0.0.1', timeoutMs: 0 }, /timeoutMs/],
    [{ url: 'http://127.0.0.1', maxAnswerBytes: 1.5 }, /maxAnswerBytes/],
    [{ url: 'http://127.0.0.1', connections: -1 }, /connections/],
    [{ url: 'http://127.0.0.1', tls: true }, /tls/],
    [{ url: 'http://127.0.0.1', token: 'a' }, /unknown option "token"/],
    [{ url: 'http://127.0.0.1', entityTypes: { principal: '1' } }, /entityTypes/],
  ])('refuses %j', (options, message) => {
    expect(() => new CedarPolicyEngine(options as CedarPolicyOptions)).toThrow(
      expect.objectContaining({ code: 'ERR_KEST_CONFIG', message: expect.stringMatching(message) }),
    )
  })
})

it('K-OBSERVE a policy that hangs aside takes no connection from what is enforced, and ends with the engine', async () => {
  const hanging: ServerResponse[] = []
  const { engine } = await agent(
    (response, body) => {
      if (String(body['action']).includes('slow')) hanging.push(response)
      else json(ALLOW)(response, body)
    },
    { connections: 2 },
  )
  const { aside } = engine
  const observed = Array.from({ length: 10 }, () => ask(aside, requestOf('slow')))
  const settled = Promise.allSettled(observed)
  await expect.poll(() => hanging.length).toBe(2)
  for (let count = 0; count < 5; count++)
    expect(await ask(engine, requestOf('orders/read'))).toMatchObject({ allow: true })
  expect(hanging).toHaveLength(2)
  await engine.close()
  expect((await settled).map(({ status }) => status)).toEqual(observed.map(() => 'rejected'))
})
