/** Version of the payload's schema (F-AE-05). */
export const SCHEMA_VERSION = '0.3.0'
/** `runtime.name` of the entries that this implementation writes (F-AE-06). */
export const RUNTIME_NAME = 'kest-typescript'
/** The one parent of a root. */
export const ROOT_PARENT = '0'

/**
 * Names of labels that mean something to the protocol (SPEC §3.1, K-OVERRIDE, K-SWITCH, K-AUDIT, K-OBSERVE, K-OIDCID, K-REVISION,
 * K-CONTEXT, K-MESSAGE, K-RECEIPT, K-OUTCOME).
 */
export const LABEL = Object.freeze({
  principal: 'principal',
  traceId: 'trace_id',
  identity: 'kest.identity',
  identityStated: 'kest.identity_stated',
  resource: 'kest.resource_attr',
  trustOverride: 'kest.trust_override',
  sanitizer: 'kest.sanitizer',
  seq: 'kest.seq',
  observed: 'kest.observed',
  observedLeftOut: 'kest.observed_left_out',
  revisions: 'kest.revisions',
  context: 'kest.context',
  source: 'kest.source',
  txn: 'kest.txn',
  message: 'kest.message',
  delivery: 'kest.delivery',
  place: 'kest.place',
  call: 'kest.call',
  receipts: 'kest.receipts',
  outcome: 'kest.outcome',
  iss: 'kest.iss',
  sub: 'kest.sub',
})

/** Any JSON value. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }
export type JsonObject = { readonly [key: string]: JsonValue }

/** A recorded exemption of an operation from a policy of a higher tier (F-PE-12). */
export interface DeviationRecord {
  readonly policy: string
  readonly tier: string
  readonly reason: string
  readonly approver: string
}

/** Policies that were asked, tier by tier (F-AE-13). */
export interface PolicyContextRecord {
  readonly enterprise_policies: readonly string[]
  readonly platform_policies: readonly string[]
  readonly app_policies: readonly string[]
  readonly function_policies: readonly string[]
  readonly deviations: readonly DeviationRecord[]
}

/**
 * The payload of an audit entry, exactly as it is signed (SPEC §3.1). Members are the protocol's own names. Objects
 * of this type that come from {@link parseEntry} are frozen to the depth that the protocol defines.
 */
export interface KestEntry {
  readonly schema_version: string
  readonly runtime: { readonly name: string; readonly version: string }
  /** UUID v7, lowercase. */
  readonly entry_id: string
  readonly operation: string
  readonly classification: string
  /** Integer, 0…100. */
  readonly trust_score: number
  /** `["0"]` for a root, else hashes of earlier entries. */
  readonly parent_ids: readonly string[]
  readonly added_taints: readonly string[]
  readonly removed_taints: readonly string[]
  /** Cumulative. */
  readonly taints: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly policy_context: PolicyContextRecord
  readonly environment: JsonObject
  readonly otel_context: JsonObject
  readonly metadata: JsonValue
  /** SHA-256, lowercase hex, or "". */
  readonly content_hash: string
  /** SHA-256, lowercase hex, or "". */
  readonly input_hash: string
  /** Milliseconds since the epoch; the signer's word. */
  readonly timestamp_ms: number
}
