import {
  createKest,
  createKeySource,
  type Kest,
  type KestOptions,
  type KestState,
  type Operation,
} from '@kest/core'
import { MockIdentityProvider, MockPolicyEngine, RecordingLogger } from '@kest/core/testing'

export const SERVICE = 'spiffe://kest.test/service'
export const CALLER = 'spiffe://kest.test/caller'

/** What the tests look at: the instance under test, what its engine was asked, and what it logged. */
export interface TestKest {
  readonly kest: Kest
  readonly engine: MockPolicyEngine
  readonly logger: RecordingLogger
}

/** A service that trusts {@link CALLER}. The engine allows everything unless told otherwise. */
export function createService(options: Partial<KestOptions> & { engine?: MockPolicyEngine } = {}): TestKest {
  const { engine = new MockPolicyEngine(), ...rest } = options
  const logger = new RecordingLogger()
  const kest = createKest({
    identity: new MockIdentityProvider(SERVICE),
    engine,
    trust: createKeySource({ [CALLER]: [new MockIdentityProvider(CALLER).getPublicJwk()] }),
    logger,
    // Engines here answer when a test tells them to, on machines that are busy.
    policyTimeoutMs: 3_600_000,
    ...rest,
  })
  return { kest, engine, logger }
}

const caller = createKest({
  identity: new MockIdentityProvider(CALLER),
  engine: new MockPolicyEngine(),
  logger: new RecordingLogger(),
})

/** An operation of a peer in front of the service. */
export function callerOperation(
  values: { readonly user?: string; readonly addedTaints?: readonly string[]; readonly origin?: string } = {},
): Promise<Operation> {
  return caller.begin(
    { operation: 'caller.call', policy: 'any', origin: 'user_input', ...values },
    { state: null },
  )
}

/** The headers with which that peer calls. */
export async function callerHeaders(
  url: string,
  values?: Parameters<typeof callerOperation>[0],
): Promise<Record<string, string>> {
  const operation = await callerOperation(values)
  return operation.run(() => caller.inject({} as Record<string, string>, url))
}

/** Operations of the entries that a state holds, in passport order. */
export function operationsOf(state: KestState): string[] {
  return state.frame.lineage.map(({ entry }) => entry.operation)
}
