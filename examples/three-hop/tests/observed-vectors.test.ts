import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createKest,
  createKeySource,
  type Evidence,
  type Kest,
  keySourcesOf,
  type OperationOptions,
  type VerifiedEntry,
} from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { kestExpress, protect } from '@kest/express'
import { kestFastify } from '@kest/fastify'
import { createX509KeySource } from '@kest/spiffe/verification'
import express from 'express'
import fastify from 'fastify'
import { describe, expect, it, onTestFinished, vi } from 'vitest'

const FOLDER = new URL('../../../packages/core/tests/vectors/passports/', import.meta.url)
const NAMES = readdirSync(FOLDER).filter((name) => name.startsWith('invalid-'))

/** Vectors are from the past; a service that observes for as long as the file says is asked at their time. */
const YEARS_LATER = { timestamp_ms: Date.UTC(2026, 5, 1) }

interface Vector {
  readonly passport: unknown
  readonly tip?: string
  readonly at?: string
  readonly trust: Evidence['trust']
}

/** When the last entry that can be read says that it was made. */
function timeOf({ passport, at }: Vector): number {
  if (at !== undefined) return Date.parse(at)
  const entries = Array.isArray(passport) ? passport : []
  const payloads = entries.flatMap((jws) => {
    try {
      return [
        JSON.parse(
          Buffer.from(String(jws).split('.')[1] ?? '', 'base64url').toString(),
        ) as typeof YEARS_LATER,
      ]
    } catch {
      return []
    }
  })
  return (payloads.at(-1) ?? YEARS_LATER).timestamp_ms + 1_000
}

/** Whatever an operation can say to be more than it is. */
const RAISING = {
  policy: 'any',
  origin: 'internal',
  trustOverride: 100,
  user: 'admin',
  sanitizer: true,
  removedTaints: ['pii'],
} satisfies Partial<OperationOptions>

interface Service {
  readonly kest: Kest
  readonly logger: RecordingLogger
}

function service(vector: Vector, observes: boolean): Service {
  const folder = mkdtempSync(join(tmpdir(), 'kest-observed-'))
  const now = timeOf(vector)
  const expires = new Date(now + 86_400_000).toISOString()
  const observe = [{ what: 'lineage', scope: { all: true }, reason: 'r', approver: 'a', expires }]
  writeFileSync(join(folder, 'kest.json'), JSON.stringify({ policies: {}, ...(observes && { observe }) }))
  vi.stubEnv('KEST_CONFIG', join(folder, 'kest.json'))
  const logger = new RecordingLogger()
  const own = new MockIdentityProvider('service')
  const kest = createKest({
    identity: own,
    engine: new MockPolicyEngine(),
    // It trusts itself, also where a vector comes with no trust at all.
    trust: [
      createKeySource({ [own.getWorkloadId()]: [own.getPublicJwk()] }),
      ...keySourcesOf(vector.trust, { x509: createX509KeySource }),
    ],
    clock: { now: () => now },
    logger,
  })
  vi.unstubAllEnvs()
  onTestFinished(async () => {
    await kest.close()
    rmSync(folder, { recursive: true })
  })
  return { kest, logger }
}

interface Answer {
  readonly status: number
  readonly body: { readonly code?: string } | VerifiedEntry
}

type Serve = (kest: Kest) => Promise<string>

const adapters: Readonly<Record<string, Serve>> = {
  Fastify: async (kest) => {
    const app = fastify()
    onTestFinished(() => app.close())
    await app.register(kestFastify, { kest })
    app.get('/x', { config: { kest: RAISING } }, async (request) => request.kest?.operation?.entry)
    return app.listen({ host: '127.0.0.1', port: 0 })
  },
  Express: async (kest) => {
    const app = express()
    app.use(kestExpress({ kest }))
    app.get('/x', protect(RAISING), (request, response) => {
      response.json(request.kest?.operation?.entry)
    })
    const server = createServer(app)
    // Clients close what is idle. Were it the server, it might be while one of them sends.
    server.keepAliveTimeout = 0
    onTestFinished(() => void server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  },
}

describe.each(Object.entries(adapters))('an observing service on %s', (_, serve) => {
  async function asked(vector: Vector, { kest }: Service): Promise<Answer> {
    const members = [`kest.passport=${encodeURIComponent(JSON.stringify(vector.passport))}`]
    if (vector.tip !== undefined) members.push(`kest.chain_tip=${encodeURIComponent(vector.tip)}`)
    const headers = { baggage: members.join(','), connection: 'close' }
    const response = await fetch(`${await serve(kest)}/x`, { headers })
    return { status: response.status, body: (await response.json()) as Answer['body'] }
  }

  it.each(NAMES)('K-OBSERVE refuses %s as ever, or gives it a root that is worth nothing', async (name) => {
    const vector = JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')) as Vector
    const enforced = await asked(vector, service(vector, false))
    expect([400, 403]).toContain(enforced.status)
    const observing = service(vector, true)
    const observed = await asked(vector, observing)
    if (enforced.status === 400) {
      expect(observed).toEqual(enforced)
      return
    }
    expect(observed.status).toBe(200)
    const { code } = enforced.body as { code: string }
    expect(observed.body).toMatchObject({
      trustScore: 0,
      taints: ['kest.observed', 'kest.unproven'],
      identity: null,
      entry: {
        parent_ids: ['0'],
        trust_score: 0,
        labels: { 'kest.observed': `[{"code":"${code}","policy":null,"tier":"lineage"}]` },
      },
    })
    expect((observed.body as VerifiedEntry).entry.labels['kest.identity']).toBeUndefined()
    const lines = observing.logger.records.filter(({ message }) => /which is only observed/.test(message))
    expect(lines).toMatchObject([{ level: 'warn', details: { code } }])
  })
})
