import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  createFunctionEngine,
  createKest,
  createKeySource,
  DEFAULT_LIMITS,
  getCurrentPassport,
  getCurrentUser,
  type Kest,
  type KestState,
  parseEntry,
} from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'
import { kestExpress, protect } from '@kest/express'
import { kestFastify } from '@kest/fastify'
import { patchGlobalFetch, withKest } from '@kest/undici'
import express from 'express'
import Fastify from 'fastify'
import { Agent, request as undiciRequest } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const REQUESTS = 500

const identities = ['hop1', 'hop2', 'hop3'].map(
  (name) => new MockIdentityProvider(`spiffe://isolation.test/${name}`),
)
const trust = createKeySource(
  new Map(identities.map((identity) => [identity.getWorkloadId(), [identity.getPublicJwk()]])),
)
const engine = createFunctionEngine({
  // Some are slow to be decided, and some are denied late in the chain.
  allow: async ({ subject }) => {
    await sleep(Number(subject.user?.slice(4)) % 3)
    return true
  },
  'not-11': ({ subject }) => Number(subject.user?.slice(4)) % 11 !== 0,
})

function kestOf(index: number): Kest {
  const identity = identities[index]
  if (identity === undefined) throw new Error('no such hop')
  return createKest({ identity, engine, trust, logger: new RecordingLogger() })
}

/** What a hop sees of its request, from where its handler stands. */
function seen(state: KestState) {
  const { tips } = state.frame.lineage
  return {
    user: getCurrentUser(),
    taints: tips.flatMap((tip) => tip.taints),
    operations: state.frame.lineage.map((entry) => entry.entry.operation),
    ambient: getCurrentPassport()?.entries.length,
    traces: new Set(
      getCurrentPassport()?.entries.map(
        (jws) => parseEntry(jws, { limits: DEFAULT_LIMITS }).entry.labels['trace_id'],
      ),
    ).size,
  }
}

const closing: (() => Promise<unknown>)[] = []
let edge = ''

beforeAll(async () => {
  const hop3 = Fastify()
  await hop3.register(kestFastify, { kest: kestOf(2) })
  hop3.get('/work', { config: { kest: { policy: 'not-11', addedTaints: ['hop3'] } } }, async (request) => {
    await sleep(Math.random() * 8)
    const sight = seen(request.kest?.state as KestState)
    if (Number(sight.user?.slice(4)) % 7 === 0) throw new Error('hop3 fails for every seventh')
    return sight
  })
  const url3 = await hop3.listen({ host: '127.0.0.1', port: 0 })
  closing.push(() => hop3.close())

  const kest2 = kestOf(1)
  const agent = withKest(new Agent({ connections: 4 }), { kest: kest2, propagateTo: [url3] })
  closing.push(() => agent.close())
  const hop2 = express()
  hop2.use(kestExpress({ kest: kest2 }))
  hop2.get('/work', protect({ policy: 'allow', addedTaints: ['hop2'] }), async (req, res) => {
    await sleep(Math.random() * 8)
    const { statusCode, body } = await undiciRequest(`${url3}/work`, { dispatcher: agent })
    const next: unknown = await body.json()
    res.status(statusCode).json({ here: seen(req.kest?.state as KestState), next })
  })
  const server2 = hop2.listen(0, '127.0.0.1')
  // Clients close what is idle. Were it the server, it might be while one of them sends.
  server2.keepAliveTimeout = 0
  await new Promise((resolve) => server2.once('listening', resolve))
  const url2 = `http://127.0.0.1:${(server2.address() as AddressInfo).port}`
  closing.push(async () => {
    server2.closeAllConnections()
    await new Promise((resolve) => server2.close(resolve))
  })

  const kest1 = kestOf(0)
  const unpatch = patchGlobalFetch({ kest: kest1, propagateTo: [url2] })
  closing.push(async () => unpatch())
  const hop1 = Fastify()
  await hop1.register(kestFastify, { kest: kest1, origin: 'user_input' })
  const operation = {
    policy: 'allow',
    user: (request: { query: unknown }) => `user${(request.query as { n: string }).n}`,
    addedTaints: (request: { query: unknown }) => [`taint${(request.query as { n: string }).n}`],
  }
  hop1.get('/work', { config: { kest: operation } }, async (_request, reply) => {
    await sleep(Math.random() * 8)
    const response = await fetch(`${url2}/work`)
    reply.code(response.status)
    return response.json()
  })
  edge = await hop1.listen({ host: '127.0.0.1', port: 0 })
  closing.push(() => hop1.close())
})

afterAll(async () => {
  for (const close of closing.reverse()) await close()
})

describe('a chain of all three adapters under load', () => {
  it(`SPEC §11.7 of ${REQUESTS} concurrent requests none sees another’s passport, user or taint`, {
    timeout: 300_000,
  }, async () => {
    const callers = new Agent({ connections: 40 })
    const answers = await Promise.all(
      Array.from({ length: REQUESTS }, async (_, n) => {
        const { statusCode, body } = await undiciRequest(`${edge}/work?n=${n}`, { dispatcher: callers })
        return { n, statusCode, body: (await body.json()) as Record<string, never> }
      }),
    )
    await callers.close()
    for (const { n, statusCode, body } of answers) {
      const own = { user: `user${n}`, ambient: undefined as number | undefined, traces: 1 }
      const denied = n % 11 === 0
      const failed = !denied && n % 7 === 0
      expect(statusCode).toBe(denied ? 403 : failed ? 500 : 200)
      expect(body['here']).toEqual({
        ...own,
        taints: ['hop2', `taint${n}`],
        operations: ['GET /work', 'GET /work'],
        ambient: 2,
      })
      if (denied) expect(body['next']).toMatchObject({ code: 'ERR_KEST_DENIED' })
      else if (!failed) {
        expect(body['next']).toEqual({
          ...own,
          taints: ['hop2', 'hop3', `taint${n}`],
          operations: ['GET /work', 'GET /work', 'GET /work'],
          ambient: 3,
        })
      }
    }
  })
})
