import type { Frame } from '../context/frame.js'
import { type KestEntry, LABEL, SCHEMA_VERSION } from '../entry/entry.js'
import { KestError } from '../errors.js'
import { currentSigner, signingLate } from '../identity/current-signer.js'
import type { IdentityProvider, Signer } from '../identity/provider.js'
import { inTime } from '../in-time.js'
import { type SignedEntry, signEntry } from '../jws/compact.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { VerifiedEntry } from '../passport/verified.js'
import { MAX_HELD } from '../receipts/held-receipts.js'
import { nameSigner, otelContextOf, RUNTIME } from './entry-parts.js'
import { OUTCOME_SUFFIX, type Outcome } from './outcome-entry.js'
import { randomTraceId, uuidV7 } from './random.js'
import type { HookRuntime } from './runtime.js'

const NOTHING = Object.freeze({})
const NONE: readonly never[] = Object.freeze([])
const NO_POLICIES = Object.freeze({
  enterprise_policies: NONE,
  platform_policies: NONE,
  app_policies: NONE,
  function_policies: NONE,
  deviations: NONE,
})

/** An operation that has begun, for the record of how it ends. */
export interface Begun {
  readonly entry: VerifiedEntry
  readonly frame: Frame
  readonly provider: IdentityProvider
}

/** Where a process records how its operations end (K-OUTCOME). */
export class Outcomes {
  readonly #pending = new Set<Promise<void>>()

  /**
   * Signs and exports the second entry of an operation. It is in no frame and no passport, and nobody waits for it: where it
   * cannot be made, which is told, what is known is that the operation was begun.
   */
  record(runtime: HookRuntime, begun: Begun, outcome: Outcome, contentHash: string): void {
    const lost = (error: unknown): void => {
      runtime.metrics.entryUnrecorded()
      runtime.outages.failed({
        what: 'the record of how an operation ended',
        effect: 'operations end without a record',
        asked: 'outcome',
        code: 'unrecorded',
        error,
        details: () => ({ operation: begun.entry.entry.operation, entry_id: begun.entry.entry.entry_id }),
      })
    }
    try {
      const recording = record(runtime, begun, outcome, contentHash)
      if (!isPromise(recording)) return
      const settled = recording.catch(lost).finally(() => this.#pending.delete(settled))
      this.#pending.add(settled)
    } catch (error) {
      lost(error)
    }
  }

  /** Settles when those are recorded that were begun to be. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending)
  }
}

function record(
  runtime: HookRuntime,
  begun: Begun,
  outcome: Outcome,
  contentHash: string,
): MaybePromise<void> {
  const signer = currentSigner(begun.provider, runtime.identityTimeoutMs, null)
  const go = (current: Signer): MaybePromise<void> => recordBy(current, runtime, begun, outcome, contentHash)
  return isPromise(signer) ? signer.then(go) : go(signer)
}

function recordBy(
  signer: Signer,
  runtime: HookRuntime,
  { entry, frame }: Begun,
  outcome: Outcome,
  contentHash: string,
): MaybePromise<void> {
  if (signer.workloadId !== entry.principal)
    throw new KestError('ERR_KEST_IDENTITY', 'who began the operation has another identity now')
  const operation = entry.entry.operation + OUTCOME_SUFFIX
  const span = runtime.spans.start(operation)
  const receipts = frame.takeReceipts(MAX_HELD)
  const number = runtime.sequence.take(signer.workloadId)
  const labels: Record<string, string> = {}
  const traceId = entry.entry.labels[LABEL.traceId] ?? randomTraceId()
  nameSigner(labels, { principal: signer.workloadId, subject: signer.subject, traceId })
  labels[LABEL.outcome] = outcome
  if (receipts.length > 0) labels[LABEL.receipts] = receipts.join(',')
  labels[LABEL.seq] = number.label
  const draft: KestEntry = {
    schema_version: SCHEMA_VERSION,
    runtime: RUNTIME,
    entry_id: uuidV7(),
    operation,
    classification: entry.entry.classification,
    trust_score: Math.min(entry.entry.trust_score, entry.trustScore),
    parent_ids: [entry.hash],
    added_taints: NONE,
    removed_taints: NONE,
    taints: entry.taints,
    labels,
    policy_context: NO_POLICIES,
    environment: NOTHING,
    otel_context: otelContextOf(span.context()),
    metadata: null,
    content_hash: contentHash,
    input_hash: '',
    timestamp_ms: runtime.clock.now(),
  }
  const done = (signed: SignedEntry): void => {
    const recorded = span.ended(draft, signed)
    runtime.metrics.entrySigned()
    if (recorded || (runtime.auditTrail === null && !runtime.spans.audited)) return
    throw new KestError('ERR_KEST_AUDIT_UNAVAILABLE', 'its span recorded nothing')
  }
  const undo = (error: unknown): never => {
    number.giveBack()
    frame.receipts.giveBack(receipts)
    span.abandon()
    throw error
  }
  let signing: MaybePromise<SignedEntry>
  try {
    signing = signEntry(draft, signer, runtime.limits)
  } catch (error) {
    return undo(error)
  }
  if (!isPromise(signing)) return done(signing)
  return inTime(signing, { ms: runtime.identityTimeoutMs, late: signingLate }).then(done, undo)
}
