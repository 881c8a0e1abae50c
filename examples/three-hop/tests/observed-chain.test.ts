import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createKest,
  createKeySource,
  type Kest,
  type KestOptions,
  type PolicyContext,
  parsePassport,
  type VerifiedEntry,
  verifyPassport,
} from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import { kestFastify } from '@kest/fastify'
import { OPAPolicyEngine } from '@kest/opa'
import { createKestFetch } from '@kest/undici'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import fastify from 'fastify'
import { expect, it, onTestFinished, vi } from 'vitest'

/** Some hundred here; a script may ask for more. */
const REQUESTS = Number(process.env['KEST_OBSERVED_REQUESTS'] ?? 150)
const AT_ONCE = 10
const EACH = Math.ceil(REQUESTS / 3)

const identities = ['edge', 'orders'].map((name) => new MockIdentityProvider(name))
const [edgeIdentity, ordersIdentity] = identities as [MockIdentityProvider, MockIdentityProvider]
const trust = createKeySource(
  Object.fromEntries(identities.map((one) => [one.getWorkloadId(), [one.getPublicJwk()]])),
)

/** Answers as OPA does, and denies each third order; or, while it is down, cuts every connection. */
async function opa(): Promise<{ readonly url: string; down: boolean }> {
  const server = createServer(async (request, response) => {
    if (engine.down) {
      request.socket.destroy()
      return
    }
    let body = ''
    for await (const chunk of request) body += chunk
    const { object } = (JSON.parse(body) as { input: PolicyContext }).input
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ result: Number(object.id) % 3 !== 0 }))
  })
  // Clients close what is idle. Were it the server, it might be while one of them sends.
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const engine = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, down: false }
  return engine
}

function kestOf(options: KestOptions, deployment?: object): Kest {
  const folder = mkdtempSync(join(tmpdir(), 'kest-observed-'))
  const file = join(folder, 'kest.json')
  writeFileSync(file, JSON.stringify(deployment ?? { policies: {} }))
  vi.stubEnv('KEST_CONFIG', file)
  const kest = createKest({ trust, logger: new RecordingLogger(), ...options })
  vi.unstubAllEnvs()
  onTestFinished(async () => {
    await kest.close()
    rmSync(folder, { recursive: true })
  })
  return kest
}

async function listening(kest: Kest, options: object, handler: (id: string) => unknown): Promise<string> {
  const app = fastify()
  onTestFinished(() => app.close())
  await app.register(kestFastify, { kest, ...options })
  const resource = ({ params }: { params: unknown }) => ({ id: (params as { id: string }).id })
  app.get('/orders/:id', { config: { kest: { policy: 'orders/read', resource } } }, async (request) =>
    handler((request.params as { id: string }).id),
  )
  return app.listen({ host: '127.0.0.1', port: 0 })
}

it('K-OBSERVE fails no request of a chain with a policy that denies a third, an engine that is down and a caller without lineage, and records exactly what would have been refused', {
  timeout: 600_000,
}, async () => {
  const engine = await opa()
  const exporter = new InMemorySpanExporter()
  const expires = new Date(Date.now() + 86_400_000).toISOString()
  const observe = ['policy', 'lineage'].map((what) => {
    return { what, scope: { all: true }, reason: 'r', approver: 'security@kest.test', expires }
  })
  const orders = kestOf(
    {
      identity: ordersIdentity,
      engine: new OPAPolicyEngine({ url: engine.url, timeoutMs: 60_000 }),
      policyTimeoutMs: 60_000,
      telemetry: {
        tracerProvider: new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
      },
    },
    { policies: {}, observe },
  )
  const ordersUrl = await listening(orders, {}, (id) => ({ id }))
  const edge = kestOf({ identity: edgeIdentity, engine: new MockPolicyEngine() })
  const call = createKestFetch({ kest: edge, propagateTo: [ordersUrl] })
  const edgeUrl = await listening(edge, { origin: 'user_input' }, async (id) => {
    const response = await call(`${ordersUrl}/orders/${id}`)
    return { status: response.status }
  })

  let next = 0
  const failed: string[] = []
  /** What would be refused, by order. */
  const expected = new Map<string, string[]>()
  async function ask(count: number, url: string, refusals: (id: number) => string[]): Promise<void> {
    const last = next + count
    const worker = async (): Promise<void> => {
      while (next < last) {
        const id = next++
        expected.set(String(id), refusals(id))
        const response = await fetch(`${url}/orders/${id}`)
        const body = (await response.json()) as { status?: number }
        if (response.status !== 200 || (body.status ?? 200) !== 200)
          failed.push(`${id}: ${JSON.stringify(body)}`)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
  }
  const denied = (id: number): string[] => (id % 3 === 0 ? ['ERR_KEST_DENIED orders/read'] : [])
  await ask(EACH, edgeUrl, denied)
  engine.down = true
  await ask(EACH, edgeUrl, () => ['ERR_KEST_ENGINE orders/read'])
  engine.down = false
  await ask(EACH, ordersUrl, (id) => [...denied(id), 'ERR_KEST_LINEAGE_MISSING null'])

  expect(failed).toEqual([])
  const spans = exporter.getFinishedSpans()
  expect(spans.map(({ attributes }) => attributes['kest.decision'])).toEqual(spans.map(() => 'allow'))
  const found = new Map<string, string[]>()
  for (const { attributes } of spans) {
    const passport = parsePassport(attributes['kest.passport'])
    const { entries, findings } = await verifyPassport(passport, { trust })
    expect(findings).toEqual([])
    const { entry, taints } = entries.at(-1) as VerifiedEntry
    const { id } = JSON.parse(entry.labels['kest.resource_attr'] ?? '') as { id: string }
    const observed = JSON.parse(entry.labels['kest.observed'] ?? '[]') as {
      code: string
      policy: string | null
    }[]
    found.set(
      id,
      observed.map(({ code, policy }) => `${code} ${policy}`),
    )
    const allowed = !observed.some(({ policy }) => policy === 'orders/read')
    expect(entry.policy_context.function_policies).toEqual(allowed ? ['orders/read'] : [])
    expect(taints.includes('kest.observed')).toBe(observed.length > 0)
  }
  expect(found.size).toBe(spans.length)
  expect(new Map([...found].sort())).toEqual(new Map([...expected].sort()))
})
