import { type KestEntry, LABEL } from '../entry/entry.js'
import { KestError, PolicyDeniedError } from '../errors.js'
import type { PolicyTier } from '../policy/engine.js'
import { joinReasons, toReason } from '../policy/reason.js'
import type { AuditSlot } from '../telemetry/audit-trail.js'
import { describeError } from '../telemetry/describe-error.js'
import { remedyOf } from '../telemetry/remedy.js'
import type { AuditSpan } from '../telemetry/spans.js'
import type { OperationDefinition } from './operation-definition.js'
import type { HookRuntime } from './runtime.js'

/** What is told of an attempt: why policies allowed, and of one that led to no operation span, log and count (NF-OBS-01). */
export class Attempt {
  readonly #runtime: HookRuntime
  readonly #definition: OperationDefinition
  #span: AuditSpan | undefined
  #draft: KestEntry | undefined
  #slot: AuditSlot | null = null
  #reason: string | undefined

  constructor(runtime: HookRuntime, definition: OperationDefinition) {
    this.#runtime = runtime
    this.#definition = definition
  }

  start(): AuditSpan {
    this.#span = this.#runtime.spans.start(this.#definition.operation)
    return this.#span
  }

  drafted(draft: KestEntry): void {
    this.#draft = draft
  }

  reserved(slot: AuditSlot | null): void {
    this.#slot = slot
  }

  /** Why the policies so far allowed, in their engines' words; `undefined` where none says. */
  get reason(): string | undefined {
    return this.#reason
  }

  /** The policies of one tier allow, and their engine says why. */
  allowed(tier: PolicyTier, policies: readonly string[], words: string): void {
    const reason = toReason(words)
    if (reason === undefined) return
    this.#reason = joinReasons(this.#reason, reason)
    this.#runtime.logger.debug(
      {
        operation: this.#definition.operation,
        entry_id: this.#draft?.entry_id,
        workload_id: this.#draft?.labels[LABEL.principal],
        tier,
        policies,
        reason,
      },
      'policies allowed',
    )
  }

  /** The operation runs, and its span recorded nothing. Where no audit trail is to keep it, that is as it should be. */
  unrecorded(): void {
    const { auditTrail, spans, metrics, logger } = this.#runtime
    if (auditTrail === null && !spans.audited) return
    metrics.entryUnrecorded()
    logger.error(
      {
        operation: this.#definition.operation,
        entry_id: this.#draft?.entry_id,
        workload_id: this.#draft?.labels[LABEL.principal],
      },
      'operation allowed without a record: its audit span did not record',
    )
  }

  /** Ends the span, if there is one that has not ended, as a denial. */
  denied(error: unknown): void {
    this.#slot?.release()
    const code = error instanceof KestError ? error.code : '_OTHER'
    const reason = error instanceof PolicyDeniedError ? toReason(error.reason) : undefined
    this.#runtime.metrics.denied(code)
    this.#span?.deny(this.#draft, code, reason)
    this.#runtime.logger.warn(
      {
        code,
        operation: this.#definition.operation,
        entry_id: this.#draft?.entry_id,
        workload_id: this.#draft?.labels[LABEL.principal],
        policies: error instanceof PolicyDeniedError ? error.policies : this.#definition.policies,
        reason,
        err: describeError(error),
        remedy: remedyOf(error),
      },
      'operation denied',
    )
  }
}
