import { type CacheProvider, createKest, type Kest, type KeySource, type ReplayStore } from '@kest/core'
import { MockPolicyEngine, RecordingLogger } from '@kest/core/testing'
import kestFastify from '@kest/fastify'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'
import { createDevAuthority, type DevAuthority } from '@kest/spiffe/dev'
import { createKestFetch } from '@kest/undici'
import { fastify } from 'fastify'
import { onTestFinished } from 'vitest'
import { freePort } from './redis-server.js'

export interface Service {
  readonly kest: Kest
  readonly trust: KeySource
  readonly origin: string
  readonly fetch: typeof globalThis.fetch
  /** Entries of the passport that the last of a chain had, its own among them. */
  readonly arrived: string[][]
  /** Run before this service calls on, with how many are left. */
  before: (left: number) => Promise<void> | void
}

/** Two services with SVIDs, that call each other until nothing is left of `/hop/:left`. */
export async function twoServices(
  caches: readonly [CacheProvider & ReplayStore, CacheProvider & ReplayStore],
): Promise<readonly [Service, Service]> {
  const logger = new RecordingLogger()
  const authority = await createDevAuthority({
    trustDomain: 'example.org',
    workloads: { a: {}, b: {} },
    logger,
  })
  onTestFinished(() => authority.close())
  const ports = [await freePort(), await freePort()] as const
  const origins = ports.map((port) => `http://127.0.0.1:${port}`) as [string, string]
  return Promise.all([
    startService({ name: 'a', port: ports[0], origins, cache: caches[0] }, authority),
    startService(
      { name: 'b', port: ports[1], origins: [origins[1], origins[0]], cache: caches[1] },
      authority,
    ),
  ])
}

interface Settings {
  readonly name: string
  readonly port: number
  /** Its own, and that of the other. */
  readonly origins: readonly [string, string]
  readonly cache: CacheProvider & ReplayStore
}

async function startService(
  { name, port, origins: [origin, next], cache }: Settings,
  authority: DevAuthority,
): Promise<Service> {
  const logger = new RecordingLogger()
  const address = authority.sockets[name] as string
  const identity = await SPIREProvider.connect({ address, logger })
  onTestFinished(() => identity.close())
  const trust = createX509KeySource({ 'example.org': authority.bundle() })
  const kest = createKest({
    identity,
    trust,
    engine: new MockPolicyEngine(),
    cache,
    logger,
    // The machine may be busy; that an answer is late has tests of its own.
    propagation: { cacheTimeoutMs: 60_000 },
    policyTimeoutMs: 60_000,
  })
  const fetch = createKestFetch({ kest, propagateTo: [next], hop: true })
  const service: Service = { kest, trust, origin, fetch, arrived: [], before: () => {} }

  const app = fastify()
  await app.register(kestFastify, { kest, binding: 'hop', audiences: [origin], replayStore: cache })
  app.get<{ Params: { left: string } }>(
    '/hop/:left',
    { config: { kest: { policy: 'hop' } } },
    async ({ params, kest: asked }, reply) => {
      const left = Number(params.left)
      if (left <= 1) {
        service.arrived.push(asked?.state.frame.lineage.strings() as string[])
        return { arrived: true }
      }
      await service.before(left)
      try {
        const response = await fetch(`${next}/hop/${left - 1}`)
        return await reply.code(response.status).send(await response.json())
      } catch (error) {
        const { code } = (error as Error).cause as { code: string }
        return reply.code(502).send({ not_sent: code })
      }
    },
  )
  await app.listen({ port, host: '127.0.0.1' })
  onTestFinished(() => app.close())
  return service
}

/** What a chain of so many hops, from the first service on, ends with. */
export async function chain([a, b]: readonly [Service, Service], hops: number) {
  const begun = await a.kest.begin({ operation: 'begin', policy: 'hop', origin: 'system' })
  const response = await begun.run(() => a.fetch(`${b.origin}/hop/${hops}`))
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
