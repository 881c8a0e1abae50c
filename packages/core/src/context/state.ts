import { AsyncLocalStorage } from 'node:async_hooks'
import { context } from '@opentelemetry/api'
import type { ObservedRefusal } from '../entry/observed-label.js'
import type { MessageRecord } from '../messages/message.js'
import type { IdentityContext } from '../passport/verified.js'
import type { Names } from '../pseudonyms/names.js'
import type { RequestedReceipt } from '../receipts/requested-receipt.js'
import type { Frame } from './frame.js'
import type { Lifetime } from './lifetime.js'
import { stateOf, withoutState, withState } from './otel-context.js'
import type { AboutRequest } from './request-facts.js'

/** Who acts, and which principal said so; `by: null` is this workload itself (a token validated here, or its code). */
export interface StatedIdentity {
  readonly context: IdentityContext
  readonly by: string | null
}

/**
 * What Kest knows about the work at hand (K-AMBIENT). It travels with asynchronous execution; adapters also keep it
 * on the request. Only the frame changes, and only by the hook.
 */
export interface KestState {
  readonly frame: Frame
  /** The origin of a request that began here, `kest.unproven` where it should have brought lineage; `null` where it did (K-ROOT). */
  readonly origin: string | null
  /** As it is signed: with pseudonyms by these (K-PSEUDONYM). {@link actingIn} has it as the application sees it. */
  readonly identity: StatedIdentity | null
  /** Whom the pseudonyms stand for, where the request begins and there are some. */
  readonly names?: Names
  /**
   * Whether every part of `identity` is out of a token that was validated here, and none is inherited: then an entry states it
   * (K-SWITCH). Default `false`.
   */
  readonly identityStated?: boolean
  /** As what the request would have been refused, if that were not only observed (K-OBSERVE). Its operations record it. */
  readonly observed?: readonly ObservedRefusal[]
  /** Which transaction a Txn-Token says that the request is of. */
  readonly txn?: string
  /** The message that was received, which the entry of its operation records; operations within have none (K-MESSAGE). */
  readonly message?: MessageRecord
  /** The receipt that the caller asks for: the first entry that is made for the request (K-RECEIPT). */
  readonly call?: RequestedReceipt
  /** The raw bearer token, never propagated (K-JWT). */
  readonly jwt: string | null
  /** Aborts when whoever asked has left. */
  readonly signal: AbortSignal | null
  /** What the log says of the request that it is of. */
  readonly request?: AboutRequest
  /** Until when operations begin and calls leave in it (K-STATE). */
  readonly lifetime: Lifetime
}

const STORAGE = Symbol.for('kest.state.1')

/** One per process, whichever copy of this package comes first. */
function processStorage(): AsyncLocalStorage<KestState | undefined> {
  const slot = globalThis as { [STORAGE]?: AsyncLocalStorage<KestState | undefined> }
  slot[STORAGE] ??= new AsyncLocalStorage<KestState | undefined>()
  return slot[STORAGE]
}

const storage = processStorage()

/**
 * Runs `fn` with `state` as the ambient state, and so everything that `fn` starts. It neither ends the state nor revives
 * one that has ended.
 */
export function runWithState<T>(state: KestState, fn: () => T): T {
  return storage.run(state, () => context.with(withState(context.active(), state), fn))
}

/**
 * Runs `fn`, and so everything that it starts, without an ambient state: for what comes from outside, and is called in the context of
 * whoever has opened the connection that it comes by (K-STATE).
 */
export function runWithoutState<T>(fn: () => T): T {
  return storage.run(undefined, () => context.with(withoutState(context.active()), fn))
}

/** Who acts, as the application sees it: in clear where the request begins, behind that as it is signed (K-PSEUDONYM). */
export function actingIn(state: KestState | null): IdentityContext | null {
  const identity = state?.identity?.context ?? null
  return identity === null ? null : (state?.names?.reveal(identity) ?? identity)
}

/** The ambient state; what an OpenTelemetry context kept of it where the process' own was lost. */
export function currentState(): KestState | null {
  return storage.getStore() ?? stateOf(context.active()) ?? null
}
