import type { DeviationRecord, JsonObject } from '../entry/entry.js'
import type { MaybePromise } from '../maybe-promise.js'
import type { LineageSummary } from '../passport/lineage.js'
import type { IgnorableField } from './decision-key.js'

/** Where a policy was set (F-PE-07…10), in the order of evaluation. */
export type PolicyTier = 'enterprise' | 'platform' | 'application' | 'function'

/** What a policy sees (SPEC §7). Frozen: an engine cannot change what the next one is asked. */
export interface PolicyContext {
  readonly subject: {
    readonly workload: string
    readonly user: string | null
    readonly agent: string | null
    readonly task: string | null
    readonly trust_score: number
    readonly taints: readonly string[]
    /** Principal that stated user / agent / task (K-IDENT); `null` when nobody did. */
    readonly identity_by: string | null
  }
  readonly object: { readonly id: string; readonly attributes: JsonObject }
  readonly environment: {
    readonly is_root: boolean
    /** The origin of a root, or the source given for this operation; `"internal"` else. */
    readonly source_type: string
    /** Comma-separated parents; `"0"` for a root. */
    readonly parent_hash: string
    readonly policy_names: readonly string[]
    readonly policy_tier: PolicyTier
    readonly active_deviations: readonly DeviationRecord[]
    /** Classification of the entry being made. */
    readonly classification: string
  }
  /** The workload that asks. */
  readonly identity: string
  readonly trust_score: number
  /** Parallel lists in passport order, verified entries only (K-LINEAGE). */
  readonly lineage: LineageSummary
}

/** One question: the policies of one tier. Frozen, to the last member of the context. */
export interface PolicyRequest {
  readonly entryId: string
  /** Non-empty; all of them must allow (F-PE-03). */
  readonly policies: readonly string[]
  readonly context: PolicyContext
}

/**
 * A decision with its reason. The reason goes to the log (of a denial as a warning, of an allow for debugging) and to the
 * span, as far as 1,024 characters; never to the client.
 */
export interface Decision {
  readonly allow: boolean
  readonly reason?: string
  /**
   * Which text of the policies decided (K-REVISION): `<engine>:<scheme>:<value>`, or several where several texts have a part in it. It is
   * signed as the label `kest.revisions`, unless it is of another form, longer than 256 characters, or more than 8. A `sha256` is
   * computed from the text; whatever else stands there is a name that somebody chose.
   */
  readonly revision?: string | readonly string[]
}

/**
 * Decides (P7). Anything but `true` or `{ allow: true }` denies; throwing, rejecting, hanging past the time-out and
 * answering anything else deny with an error of their own (NF-SEC-03).
 */
export interface PolicyEngine {
  /** Another number when decisions may have changed, such as after new policies were loaded: what was cached is asked anew. */
  readonly generation?: number
  /** Where it is asked, for the log: without credentials. */
  readonly address?: string | undefined
  /**
   * Which text decides now, as a {@link Decision} says it that has no `revision` of its own. For engines that answer at once: it is asked
   * in the same turn. A decision that comes later says it itself. `undefined` where it cannot be said.
   */
  revision?(): string | readonly string[] | undefined
  /**
   * Parts of the context that it keeps from what decides, as {@link cacheDecisions} does: they are not in the digest `kest.context`, for
   * policies were asked without them (K-CONTEXT).
   */
  readonly withholds?: readonly IgnorableField[]
  /** `signal` aborts when the time is up or the caller has left. */
  evaluate(
    request: PolicyRequest,
    options: { readonly signal: AbortSignal },
  ): MaybePromise<boolean | Decision>
  /**
   * For engines outside the process, where each answer takes a round trip: all questions of an operation at once (K-ASK),
   * one outcome for each, in their order, each what `evaluate` would answer to that question. The list may come later, and
   * so may each of its outcomes; it is best returned with promises in it, since outcomes are judged in order, and the first
   * that does not allow waits for no other. Then, and as for `evaluate`, `signal` aborts. A list of another length decides
   * nothing. Called with two questions or more, which share their context but for `environment.policy_tier` and
   * `environment.policy_names`.
   *
   * An engine without it is asked for one tier after another, and for none after a denial.
   */
  evaluateAll?(
    requests: readonly PolicyRequest[],
    options: { readonly signal: AbortSignal },
  ): MaybePromise<readonly MaybePromise<boolean | Decision>[]>
  /**
   * The same engine, with connections of its own: what is only observed is asked there (K-OBSERVE), at most 256 questions at a time, so
   * that a policy that hangs takes nothing from what is enforced. Itself, where it has nothing that a question could hold. Of an engine
   * without, what is observed is asked over what it has, at most 8 questions at a time; what is beyond is not asked.
   */
  readonly aside?: PolicyEngine
  close?(): MaybePromise<void>
}
