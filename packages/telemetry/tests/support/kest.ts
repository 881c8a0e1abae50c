import { createKest, type IdentityProvider, type Kest, type KestOptions, type Signer } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'

export const root = { operation: 'orders.read', policy: 'yes', origin: 'system' } as const
export const refused = { ...root, policy: 'no' } as const

/** Kest whose records go to the trail. `yes` is allowed, everything else is not. */
export function kestWith(telemetry: KestOptions['telemetry'], options: KestOptions = {}): Kest {
  return createKest({
    identity: new MockIdentityProvider('spiffe://telemetry.test/orders'),
    engine: new MockPolicyEngine({ yes: true }),
    logger: new RecordingLogger(),
    ...(telemetry === undefined ? {} : { telemetry }),
    ...options,
  })
}

/** An identity that signs as told; by default as it should. */
export function signingBy(sign: (proper: Signer['sign']) => Signer['sign']): IdentityProvider {
  const { header, sign: proper } = new MockIdentityProvider('spiffe://telemetry.test/slow').current()
  const signer: Signer = {
    workloadId: 'spiffe://telemetry.test/slow',
    header,
    local: true,
    sign: sign(proper),
  }
  return { getWorkloadId: () => signer.workloadId, current: () => signer }
}
