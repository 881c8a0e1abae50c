import {
  createFunctionEngine,
  createKest,
  createKeySource,
  type Kest,
  type KestOptions,
  LocalEd25519Provider,
} from '@kest/core'
import kestFastify from '@kest/fastify'
import { createKestFetch } from '@kest/undici'
import fastify, { type FastifyInstance } from 'fastify'
import type { TimeFigure, Work } from '../figure.js'
import { recording } from '../workload.js'

const HOPS = ['hop1', 'hop2', 'hop3'] as const
const AT_ONCE = 16
const QUIET = Object.freeze({ debug() {}, info() {}, warn() {}, error() {} })

/** Requests through three services over sockets: each callee answers with its entry, each operation says how it has ended. */
export const receipts: TimeFigure = {
  group: 'hop',
  name: 'a chain of three services with receipts and outcomes',
  unit: 'µs',
  floor: 'the same chain without',
  // Three quarters of its throughput.
  target: 1.34,
  async prepare() {
    const [without, with_] = [await startChain(false), await startChain(true)]
    return {
      floor: without.work,
      subject: with_.work,
      end: () => {
        for (const { apps } of [without, with_]) for (const app of apps) void app.close()
      },
    }
  },
}

async function startChain(
  asked: boolean,
): Promise<{ readonly work: Work; readonly apps: readonly FastifyInstance[] }> {
  const identities = HOPS.map((hop) => new LocalEd25519Provider({ workloadId: idOf(hop), quiet: true }))
  const trust = createKeySource(
    Object.fromEntries(identities.map((one) => [one.getWorkloadId(), [one.getPublicJwk()]])),
  )
  const apps: FastifyInstance[] = []
  let next: string | null = null
  for (const [at, hop] of [...HOPS.entries()].reverse()) {
    const receiptOptions: KestOptions =
      next === null
        ? { outcomes: true }
        : { receipts: { mode: 'require', from: { [next]: idOf(HOPS[at + 1] as string) } } }
    const kest = createKest({
      identity: identities[at] as LocalEd25519Provider,
      engine: createFunctionEngine({ all: () => true }),
      trust,
      logger: QUIET,
      ...recording(),
      ...(asked ? receiptOptions : {}),
    })
    const app = await service(kest, hop === 'hop1', next)
    apps.push(app)
    next = await app.listen({ host: '127.0.0.1', port: 0 })
    app.server.unref()
  }
  const url = `${next}/work`
  const send = async (): Promise<void> => {
    const response = await fetch(url)
    if (response.status !== 200) throw new Error(`the chain answered ${response.status}`)
    await response.arrayBuffer()
  }
  return { apps, work: () => Promise.all(Array.from({ length: AT_ONCE }, send)) }
}

async function service(kest: Kest, isEdge: boolean, next: string | null): Promise<FastifyInstance> {
  const app = fastify({ forceCloseConnections: true })
  await app.register(kestFastify, { kest, policy: 'all', ...(isEdge && { origin: 'internet' }) })
  const call = next === null ? null : createKestFetch({ kest, propagateTo: [next] })
  app.get('/work', async () => (call === null ? { ok: true } : (await call(`${next}/work`)).json()))
  return app
}

function idOf(hop: string): string {
  return `spiffe://example.org/${hop}`
}
