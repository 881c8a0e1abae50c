import { createKest, createKeySource, currentState, type Kest, type KestOptions } from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'

const CALLER = 'spiffe://kest.test/caller'

export interface TestKest {
  readonly kest: Kest
  readonly engine: MockPolicyEngine
  readonly logger: RecordingLogger
}

/** A service that trusts the caller. The engine allows everything unless told otherwise. */
export function createService(
  engine: MockPolicyEngine = new MockPolicyEngine(),
  options: Partial<KestOptions> = {},
): TestKest {
  const logger = new RecordingLogger()
  const kest = createKest({
    identity: new MockIdentityProvider('spiffe://kest.test/service'),
    engine,
    trust: createKeySource({ [CALLER]: [new MockIdentityProvider(CALLER).getPublicJwk()] }),
    logger,
    policyTimeoutMs: 3_600_000,
    ...options,
  })
  return { kest, engine, logger }
}

const caller = createKest({
  identity: new MockIdentityProvider(CALLER),
  engine: new MockPolicyEngine(),
  logger: new RecordingLogger(),
})

/** The headers with which a peer in front of the service calls it. */
export async function callerHeaders(user = 'alice'): Promise<Record<string, string>> {
  const operation = await caller.begin(
    { operation: 'caller.call', policy: 'any', origin: 'user_input', user },
    { state: null },
  )
  return operation.run(() => caller.inject({} as Record<string, string>, 'http://127.0.0.1/'))
}

/** The operations of the ambient lineage, `null` where there is no state. */
export function operations(): readonly string[] | null {
  return currentState()?.frame.lineage.map(({ entry }) => entry.operation) ?? null
}
