import type { JsonObject, JsonValue } from '../entry/entry.js'
import type { IdentityProvider } from '../identity/provider.js'
import type { MaybePromise } from '../maybe-promise.js'
import type { PolicyEngine } from '../policy/engine.js'
import type { Policies } from '../policy/policies.js'

/** What an operation acts on: `object` in the policy's context, label `kest.resource_attr` in the entry. */
export interface Resource {
  readonly id: string
  readonly attributes?: JsonObject
}

/** What may differ from call to call. Each is optional; what is not given comes from the ambient state (SPEC §4). */
export interface OperationValues {
  /**
   * Where the data comes from: the trust of a root, or the factor by which this operation scales its parents' trust
   * (SPEC §5). Without lineage it makes this operation a root, also outside an edge request (K-ROOT), and also where a
   * library lost the ambient state of a request: so only for what begins requests.
   */
  readonly origin?: string
  /** Replaces the computed trust, clamped to 0…100, and is recorded as such (F-TS-05, K-OVERRIDE). */
  readonly trustOverride?: number
  readonly addedTaints?: readonly string[]
  /** Needs `sanitizer: true` or `trustOverride` (F-TT-03). */
  readonly removedTaints?: readonly string[]
  readonly user?: string
  readonly agent?: string
  readonly task?: string
  readonly resource?: Resource
  /** More labels; names of the protocol's own are refused. */
  readonly labels?: Readonly<Record<string, string>>
  readonly environment?: JsonObject
  readonly metadata?: JsonValue
  /** SHA-256 of the result where it is known beforehand, lowercase hex (K-ORDER). */
  readonly contentHash?: string
  /** SHA-256 of the input, lowercase hex. */
  readonly inputHash?: string
}

/** A value, or a function of the call's arguments that gives it; `undefined` means: from the ambient state. */
export type Resolvable<T, Args extends unknown[]> = T | ((...args: Args) => MaybePromise<T | undefined>)

/** What a protected operation is. */
export type OperationOptions<Args extends unknown[] = []> = {
  /** Name of the operation, as entries, spans and deviations name it (F-AE-07). Required and not empty. */
  readonly operation: string
  /** The policies of the function tier; all must allow. Required and not empty (SPEC §11.6). */
  readonly policy: Policies
  /** Default `"system"`. */
  readonly classification?: string
  /** Whether the operation cleans its data, so that it may remove taints (F-TT-03). Default `false`. */
  readonly sanitizer?: boolean
  /** Signs instead of the configured identity. */
  readonly identity?: IdentityProvider
  /** Decides instead of the configured engine, on the function tier only (K-ENGINE). */
  readonly engine?: PolicyEngine
} & { readonly [Name in keyof OperationValues]: Resolvable<NonNullable<OperationValues[Name]>, Args> }
