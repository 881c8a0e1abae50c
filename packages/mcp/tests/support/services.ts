import {
  canonicalize,
  createKest,
  createKeySource,
  type Kest,
  type KestOptions,
  MemoryCache,
} from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'

const identities = ['agent', 'tools', 'more', 'child'].map((name) => new MockIdentityProvider(name))

export const trust = createKeySource(
  Object.fromEntries(identities.map((identity) => [identity.getWorkloadId(), [identity.getPublicJwk()]])),
)

/** What all of them share, where passports are too large for a header. */
export const cache = new MemoryCache()

/** A workload of that name. It trusts the others. */
export function service(name: 'agent' | 'tools' | 'more', options: Partial<KestOptions> = {}): Kest {
  return createKest({
    identity: new MockIdentityProvider(name),
    engine: new MockPolicyEngine(),
    trust,
    cache,
    logger: new RecordingLogger(),
    propagation: { cacheTimeoutMs: 3_600_000 },
    policyTimeoutMs: 600_000,
    ...options,
  })
}

/** Runs `fn` in an operation of that name, which is a root of its own, in the name of that user. */
export async function within<T>(
  kest: Kest,
  operation: string,
  fn: () => T,
  user?: string,
): Promise<Awaited<T>> {
  const begun = await kest.begin({
    operation,
    policy: 'any',
    origin: 'system',
    ...(user !== undefined && { user }),
  })
  return begun.run(fn)
}

/** What that workload signs when it refuses, under this `typ`. */
export function denialBy(name: string, typ: string): string {
  const signer = new MockIdentityProvider(name).current()
  const denial = {
    denial_id: '01a0c450-0000-7000-8000-000000000000',
    principal: signer.workloadId,
    operation: 'read',
    code: 'ERR_KEST_DENIED',
    policies: ['any'],
    parents: [],
    trace_id: null,
    n: '3f2b8c1e-0000-4000-8000-000000000001:1',
    timestamp_ms: Date.now(),
  }
  const texts = [JSON.stringify({ ...signer.header, typ }), canonicalize(denial)]
  const input = texts.map((text) => Buffer.from(text).toString('base64url')).join('.')
  const signature = Buffer.from(signer.sign(Buffer.from(input, 'latin1')) as Uint8Array)
  return `${input}.${signature.toString('base64url')}`
}
