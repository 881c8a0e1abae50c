import {
  createKest,
  createKeySource,
  type Kest,
  type KestOptions,
  type Operation,
  type OperationOptions,
  type PolicyEngine,
} from '@kest/core'
import { MockIdentityProvider, RecordingLogger } from '@kest/core/testing'
import { exported } from './spans.js'

const NAMES = ['gateway', 'orders', 'payments'] as const
const identities = NAMES.map((name) => new MockIdentityProvider(name))

/** As `--keys` takes them. */
export const KEYS: Record<string, unknown[]> = Object.fromEntries(
  identities.map((one) => [one.getWorkloadId(), [one.getPublicJwk()]]),
)
export const trust = createKeySource(KEYS as never)

/** Whoever begins says who acts. */
const LISTENER = { identityAuthorities: ['spiffe://kest.test/gateway'] }

/** Three services with an engine each, and what they have signed. */
export class Recorded {
  readonly operations: Operation[] = []
  readonly #kests: readonly Kest[]

  constructor(engine: PolicyEngine, options: KestOptions = {}) {
    this.#kests = identities.map((identity) =>
      createKest({ identity, engine, trust, logger: new RecordingLogger(), ...options }),
    )
  }

  /** Begins an operation of a service; behind another's, where that is given. `undefined` where it is denied. */
  async begin(
    by: (typeof NAMES)[number],
    options: OperationOptions,
    after?: Operation,
  ): Promise<Operation | undefined> {
    const kest = this.#kests[NAMES.indexOf(by)] as Kest
    const state = after === undefined ? null : await kest.resume({ passport: after.passport }, LISTENER)
    try {
      const operation = await kest.begin(options, { state })
      this.operations.push(operation)
      return operation
    } catch (error) {
      if ((error as { code?: string }).code === 'ERR_KEST_DENIED') return undefined
      throw error
    }
  }

  /** What an exporter writes. */
  get spans(): string {
    return exported(...this.operations.map(({ entry: { jws, hash, entry } }) => ({ jws, hash, entry })))
  }
}

/** Requests through three services, of which trust, taints, users, resources and depth differ. */
export async function recordTraffic(
  recorded: Recorded,
  count: number,
  policies: readonly string[],
): Promise<void> {
  for (let n = 0; n < count; n++) {
    const policyOf = (i: number) => policies[(n + i) % policies.length] as string
    const first = await recorded.begin('gateway', {
      operation: `GET /${n % 5}`,
      policy: policyOf(0),
      origin: n % 2 === 0 ? 'user_input' : 'system',
      user: `user-${n % 7}`,
      resource: { id: `order-${n}`, attributes: { owner: `user-${n % 3}`, 10: n } },
      ...(n % 4 === 0 && { addedTaints: ['pii'] }),
    })
    if (first === undefined) continue
    const second = await recorded.begin(
      'orders',
      {
        operation: 'orders.load',
        policy: [policyOf(1), policyOf(2)] as [string, string],
        classification: n % 3 === 0 ? 'confidential' : 'system',
        ...(n % 5 === 0 && { trustOverride: 90 }),
      },
      first,
    )
    if (second !== undefined && n % 2 === 0)
      await recorded.begin('payments', { operation: 'pay', policy: policyOf(3), origin: 'llm' }, second)
  }
}
