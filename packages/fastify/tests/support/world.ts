import type { Server } from 'node:http'
import { createKest, createKeySource, type Kest, type KestOptions } from '@kest/core'
import {
  buildPassport,
  type MockDecisions,
  MockIdentityProvider,
  MockPolicyEngine,
  RecordingLogger,
} from '@kest/core/testing'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import Fastify, { type FastifyHttpOptions, type FastifyInstance } from 'fastify'
import { afterEach } from 'vitest'
import { type KestFastifyOptions, kestFastify } from '../../src/index.js'

/** Keys of whoever signs in these tests. */
export const trust = createKeySource(
  Object.fromEntries(
    ['gateway', 'orders', 'billing'].map((name) => {
      const identity = new MockIdentityProvider(name)
      return [identity.getWorkloadId(), [identity.getPublicJwk()]]
    }),
  ),
)

/** A Kest instance of the workload `orders`, and what it did. */
export class World {
  readonly engine: MockPolicyEngine
  readonly logger = new RecordingLogger()
  readonly kest: Kest
  readonly #exporter = new InMemorySpanExporter()

  constructor(decisions: MockDecisions = true, options: Partial<KestOptions> = {}) {
    this.engine = new MockPolicyEngine(decisions)
    const tracerProvider = new BasicTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(this.#exporter)],
    })
    this.kest = createKest({
      identity: new MockIdentityProvider('orders'),
      engine: this.engine,
      trust,
      logger: this.logger,
      telemetry: { tracerProvider },
      // Engines here answer when a test tells them to, on machines that are busy.
      policyTimeoutMs: 3_600_000,
      ...options,
    })
  }

  spans(): ReadableSpan[] {
    return this.#exporter.getFinishedSpans()
  }

  /** Names of the operations that were signed, in their order. */
  signed(): unknown[] {
    return this.#operations('allow')
  }

  /** Names of the operations that were refused once they had been asked for. */
  denied(): unknown[] {
    return this.#operations('deny')
  }

  #operations(decision: string): unknown[] {
    return this.spans()
      .filter(({ attributes }) => attributes['kest.decision'] === decision)
      .map(({ attributes }) => attributes['kest.operation'])
  }

  /** An application with the plugin registered; closed after the test. */
  async app(
    options: KestFastifyOptions = { origin: 'user_input' },
    server?: FastifyHttpOptions<Server>,
  ): Promise<FastifyInstance> {
    const app = createApp(server)
    await app.register(kestFastify, { kest: this.kest, ...options })
    return app
  }
}

const open: FastifyInstance[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((app) => app.close()))
})

/** A bare application; closed after the test. */
export function createApp(options: FastifyHttpOptions<Server> = {}): FastifyInstance {
  const app = Fastify({ forceCloseConnections: true, ...options }) as unknown as FastifyInstance
  open.push(app)
  return app
}

/** Request headers that carry the lineage of a gateway that acts for somebody. */
export async function lineage(user = 'alice', taint?: string): Promise<{ readonly baggage: string }> {
  const step = { by: 'gateway', origin: 'user_input', user } as const
  const { headers } = await buildPassport([taint === undefined ? step : { ...step, addedTaints: [taint] }])
  return headers
}
