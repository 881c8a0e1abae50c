import { createFunctionEngine, createKest, type Kest, type KeySource } from '@kest/core'
import { createX509KeySource, SPIREProvider } from '@kest/spiffe'

/** One service: who it is, and whom it believes. */
export interface Workload {
  readonly kest: Kest
  readonly trust: KeySource
  close(): Promise<void>
}

/** What a service begins with. In a process of its own: `configure`, and `SPIFFE_ENDPOINT_SOCKET` says the address. */
export async function startWorkload(address: string): Promise<Workload> {
  const identity = await SPIREProvider.connect({ address })
  const trust = createX509KeySource(identity.source)
  const engine = createFunctionEngine({ 'shop/read': ({ trust_score }) => trust_score >= 10 })
  const kest = createKest({ identity, engine, trust })
  return {
    kest,
    trust,
    async close() {
      await kest.close()
      await identity.close()
    },
  }
}
