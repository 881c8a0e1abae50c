/** Instrumentation scope of everything Kest emits (NF-OBS-03). */
export const SCOPE = 'kest.core'
/** An audit span's name is this and the operation (F-TE-01). */
export const SPAN_PREFIX = 'kest.verified.'

/** Name of the span that shows a receipt (K-RECEIPT). */
export const RECEIPT_SPAN = 'kest.receipt'

/** Attributes of the audit span (F-TE-02, SPEC §10). */
export const ATTRIBUTE = Object.freeze({
  /** The entry, whole: the JWS compact string. */
  signature: 'kest.signature',
  /** A denial, whole: the JWS compact string (K-DENIAL). */
  denial: 'kest.denial',
  /** Parents, comma-separated; `"0"` for a root. */
  parentHash: 'kest.parent_hash',
  /** The passport up to and with this entry, as JSON. */
  passport: 'kest.passport',
  entryId: 'kest.entry_id',
  workloadId: 'kest.workload_id',
  trustScore: 'kest.trust_score',
  operation: 'kest.operation',
  /** The trace of its lineage (K-TRACE), which need not be the span's own. */
  traceId: 'kest.trace_id',
  /** Hash of this entry. */
  chainTip: 'kest.chain_tip',
  /** `allow` or `deny`. */
  decision: 'kest.decision',
  /** Why, in the engine's words; of an allow, those of all tiers that gave any. */
  reason: 'kest.decision.reason',
  /** As what it would have been refused, if that were not only observed: as the entry's label, with what that leaves out. */
  observed: 'kest.observed',
  /** A callee's entry in its caller's hands: the JWS compact string, in a span of its own (K-RECEIPT). */
  receipt: 'kest.receipt',
  /** Hash of that entry. */
  receiptHash: 'kest.receipt.hash',
  /** Who signed it. */
  receiptOf: 'kest.receipt.of',
  /** Whom it was given to. */
  receiptHolder: 'kest.receipt.holder',
  /** OpenTelemetry's own name for the class of an error; here our code. */
  errorType: 'error.type',
})
