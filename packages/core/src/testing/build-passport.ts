import { assertOptions } from '../assert-options.js'
import { type Clock, systemClock } from '../clock.js'
import { createKest } from '../config/kest.js'
import { Frame } from '../context/frame.js'
import { Lifetime } from '../context/lifetime.js'
import type { KestState } from '../context/state.js'
import type { OperationOptions } from '../hook/operation-options.js'
import type { KeySource } from '../identity/key-source.js'
import { createKeySource } from '../identity/keys.js'
import { MockIdentityProvider } from '../identity/mock.js'
import { Passport } from '../passport/passport.js'
import { BaggageManager } from '../propagation/baggage-manager.js'
import { MockPolicyEngine } from './mock-engine.js'
import { RecordingLogger } from './recording-logger.js'

/** One entry of a built passport: who makes it, and whatever an operation may be given. */
export type PassportStep = { readonly by: string } & Partial<Omit<OperationOptions, 'identity' | 'engine'>>

/** A passport, and what a service needs to accept it. */
export interface BuiltPassport {
  readonly passport: Passport
  /** Knows the public keys of all who signed. */
  readonly trust: KeySource
  /** The request headers that carry it. */
  readonly headers: { readonly baggage: string }
}

/**
 * Builds a passport with the real hook, entry after entry, each signed by the {@link MockIdentityProvider} of the
 * name given. The first entry is a root; its origin is `system` unless said otherwise.
 *
 * @param steps at least one
 * @param options.clock when the entries are made; default now
 *
 * @example
 * ```ts
 * const { headers, trust } = await buildPassport([{ by: 'gateway', origin: 'user_input', user: 'alice' }, { by: 'orders' }])
 * configure({ identity, engine, trust })
 * await app.inject({ url: '/x', headers })
 * ```
 */
export async function buildPassport(
  steps: readonly [PassportStep, ...PassportStep[]],
  options: { readonly clock?: Clock } = {},
): Promise<BuiltPassport> {
  assertOptions('buildPassport', options, ['clock'])
  const frame = new Frame()
  const lifetime = new Lifetime(options.clock ?? systemClock, Number.POSITIVE_INFINITY)
  let state: KestState = { frame, origin: 'system', identity: null, jwt: null, signal: null, lifetime }
  const keys = new Map<string, ReturnType<MockIdentityProvider['getPublicJwk']>[]>()
  for (const [index, { by, ...operation }] of steps.entries()) {
    const identity = new MockIdentityProvider(by)
    keys.set(identity.getWorkloadId(), [identity.getPublicJwk()])
    const kest = createKest({
      identity,
      engine: new MockPolicyEngine(),
      logger: new RecordingLogger(),
      ...options,
    })
    const begun = await kest.begin({ operation: `step-${index}`, policy: 'test', ...operation }, { state })
    state = begun.state
    await kest.close()
  }
  const { lineage } = state.frame
  return {
    passport: new Passport(lineage.strings()),
    trust: createKeySource(keys),
    headers: {
      baggage:
        (await new BaggageManager({ maxMemberLength: 65_536, maxHeaderLength: 65_536 }).write(lineage)) ?? '',
    },
  }
}
