import { createKest, createKeySource, type Kest, type KestOptions } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'

const gateway = new MockIdentityProvider('gateway')
const orders = new MockIdentityProvider('orders')
const trust = createKeySource(
  Object.fromEntries([gateway, orders].map((one) => [one.getWorkloadId(), [one.getPublicJwk()]])),
)

/** Who sends, and who reads. */
export function kestOf(identity: 'gateway' | 'orders', more: Partial<KestOptions> = {}): Kest {
  return createKest({
    identity: identity === 'gateway' ? gateway : orders,
    engine: new MockPolicyEngine(),
    trust,
    logger: new RecordingLogger(),
    policyTimeoutMs: 300_000,
    ...more,
  })
}

/** Who signs far away: it takes a while. */
export function slowGateway(): Kest {
  const identity = {
    getWorkloadId: () => gateway.getWorkloadId(),
    current() {
      const signer = gateway.current()
      return {
        ...signer,
        async sign(data: Parameters<typeof signer.sign>[0]) {
          await new Promise((resolve) => setImmediate(resolve))
          return signer.sign(data)
        },
      }
    },
  }
  return kestOf('gateway', { identity })
}

/** Runs `fn` in a request of somebody to the gateway. */
export async function inRequest<T>(kest: Kest, fn: () => T, user = 'alice'): Promise<Awaited<T>> {
  const operation = await kest.begin(
    { operation: 'GET /', policy: 'test', origin: 'user_input', user },
    { state: null },
  )
  return operation.run(fn)
}

export const OPERATION = { policy: 'test' } as const
export const BOUND = { binding: 'message' } as const
