import type { AboutRequest } from '../context/request-facts.js'
import { type KestEntry, LABEL } from '../entry/entry.js'
import { KestError, PolicyDeniedError } from '../errors.js'
import type { Signer } from '../identity/provider.js'
import { isPromise, type MaybePromise } from '../maybe-promise.js'
import type { Lineage } from '../passport/lineage.js'
import type { Question } from '../policy/ask.js'
import type { PolicyEngine, PolicyTier } from '../policy/engine.js'
import { joinReasons, toReason } from '../policy/reason.js'
import { Names } from '../pseudonyms/names.js'
import type { AuditSlot } from '../telemetry/audit-trail.js'
import { describeError } from '../telemetry/describe-error.js'
import { codeOf, failingPart, refusalLevel } from '../telemetry/failing.js'
import { remedyOf } from '../telemetry/remedy.js'
import type { AuditSpan } from '../telemetry/spans.js'
import { denialOf, isProvable } from './denial-facts.js'
import type { ObservedDenial } from './observed.js'
import type { OperationDefinition } from './operation-definition.js'
import type { HookRuntime } from './runtime.js'

/** What an operation needs, as outages are told apart. */
const IDENTITY = 'identity'
const AUDIT_TRAIL = 'audit trail'
const AUDIT_SPAN = 'audit span'

/** What is told instead of words that name somebody by no pseudonym. */
const WITHHELD = 'withheld: it names whom a pseudonym stands for (K-PSEUDONYM)'

/** What is said of a policy that is only observed. */
const WOULD_BE_DENIED = 'operation would be denied, which is only observed (K-OBSERVE)'
const UNSIGNED = 'a denial could not be signed, and is counted in the next (K-DENIAL)'
const NOT_ASKED = 'a policy that is only observed was not asked: nobody knows whether it allows (K-OBSERVE)'

/** What is told of an attempt: why policies allowed, and of one that led to no operation span, log and count (NF-OBS-01). */
export class Attempt {
  readonly #runtime: HookRuntime
  readonly #definition: OperationDefinition
  readonly #about: AboutRequest | undefined
  #span: AuditSpan | undefined
  #draft: KestEntry | undefined
  #acting: { readonly signer: Signer; readonly lineage: Lineage } | undefined
  #denial: string | undefined
  #slot: AuditSlot | null = null
  #reason: string | undefined
  #names: Names | undefined
  #questions: readonly Question[] = []
  /** How many of them were allowed. They are judged in their order. */
  #allowed = 0

  constructor(runtime: HookRuntime, definition: OperationDefinition, about: AboutRequest | undefined) {
    this.#runtime = runtime
    this.#definition = definition
    this.#about = about
  }

  start(): AuditSpan {
    this.#span = this.#runtime.spans.start(this.#definition.operation)
    return this.#span
  }

  /** None of these is told on (K-PSEUDONYM). */
  knows(names: Names | undefined): void {
    this.#names = names
  }

  /** Who signs what comes of it, and what it builds on. */
  actsAs(signer: Signer, lineage: Lineage): void {
    this.#acting = { signer, lineage }
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

  /** These are what policies are asked, in this order. */
  asks(questions: readonly Question[]): void {
    this.#questions = questions
  }

  /** The policies of one tier allow, and their engine may say why. */
  allowed(tier: PolicyTier, policies: readonly string[], words: string | undefined): void {
    this.#allowed++
    const reason = this.#reasonIn(words)
    if (reason === undefined) return
    this.#reason = joinReasons(this.#reason, reason)
    this.#runtime.logger.debug({ ...this.#details(), tier, policies, reason }, 'policies allowed')
  }

  /** The operation runs, and is on record as what would have been refused by these (K-OBSERVE). */
  observed(denials: readonly ObservedDenial[]): void {
    const { metrics, refusals } = this.#runtime
    const { operation } = this.#definition
    for (const { policies, policy, tier, error } of denials) {
      const { code } = error
      const message = code === 'ERR_KEST_NOT_ASKED' ? NOT_ASKED : WOULD_BE_DENIED
      metrics.observed('policy', code, policy)
      refusals.refused({ code, operation, message }, () => ({
        ...this.#details(),
        tier,
        policies,
        reason: this.#reasonIn(error.reason),
        err: describeError(this.#tellable(error)),
        remedy: remedyOf(error),
      }))
    }
  }

  /** The operation runs, and its span recorded nothing. Where no audit trail is to keep it, that is as it should be. */
  unrecorded(): void {
    const { auditTrail, spans, metrics, outages } = this.#runtime
    if (auditTrail === null && !spans.audited) return
    metrics.entryUnrecorded()
    outages.failed({
      what: 'the audit span',
      effect: 'operations are allowed without a record',
      asked: AUDIT_SPAN,
      code: 'unrecorded',
      error: undefined,
      details: () => this.#details(),
    })
  }

  /**
   * The operation runs: what it needed is there.
   *
   * @param observed what was decided of that which is only observed
   */
  begun(recorded: boolean, observed: readonly Question[]): void {
    const { outages } = this.#runtime
    for (const { engine } of this.#questions) outages.works(addressOf(engine))
    for (const { engine } of observed) outages.works(addressOf(engine))
    outages.works(this.#identity)
    outages.works(AUDIT_TRAIL)
    outages.works(this.#definition.operation)
    if (recorded) outages.works(AUDIT_SPAN)
  }

  /**
   * Signs that the operation was refused, where that can be proven and somebody is to have it (K-DENIAL). Never throws: what
   * was refused stays refused, for the reason that it was.
   */
  sign(thrown: unknown): MaybePromise<void> {
    const { denials, clock, limits, identityTimeoutMs } = this.#runtime
    if (denials === null || this.#acting === undefined || !isProvable(thrown)) return
    const { signer, lineage } = this.#acting
    if (!signer.local) return
    const failed = (error: unknown): void => this.#unsigned(error)
    try {
      const span = this.#span ?? this.start()
      if (!span.isOpen) return
      const facts = denialOf(thrown, {
        operation: this.#definition.operation,
        entryId: this.#draft?.entry_id,
        lineage,
        timestampMs: clock.now(),
      })
      const signing = denials.sign(facts, signer, { limits, timeoutMs: identityTimeoutMs, failed })
      const signed = (denial: string | undefined): void => {
        this.#denial = denial
      }
      return isPromise(signing) ? signing.then(signed) : signed(signing)
    } catch (error) {
      failed(error)
    }
  }

  /**
   * Ends the span, if there is one that has not ended, as a denial.
   *
   * @returns what to throw: an engine's words go no further than it may be told, for who catches them may log them
   */
  denied(thrown: unknown): unknown {
    this.#slot?.release()
    const error = this.#tellable(thrown)
    const { metrics, outages, refusals } = this.#runtime
    const { operation } = this.#definition
    const code = codeOf(error)
    const reason = error instanceof PolicyDeniedError ? this.#reasonIn(error.reason) : undefined
    metrics.denied(code)
    this.#span?.deny(this.#draft, code, { reason, denial: this.#denial })
    const what = failingPart(error)
    const details = () => ({
      ...this.#details(),
      policies: error instanceof PolicyDeniedError ? error.policies : this.#definition.policies,
      reason,
    })
    if (what === undefined) {
      refusals.refused({ code, operation, level: refusalLevel(error), message: 'operation denied' }, () => ({
        ...details(),
        err: describeError(error),
        remedy: remedyOf(error),
      }))
    } else outages.failed({ what, asked: this.#asked(code), code, error, details })
    // What the application itself has thrown is its own.
    return error instanceof KestError ? this.#bare(error) : thrown
  }

  #unsigned(error: unknown): void {
    const { operation } = this.#definition
    this.#runtime.refusals.refused({ code: codeOf(error), operation, message: UNSIGNED }, () => ({
      ...this.#details(),
      err: describeError(this.#tellable(error)),
    }))
  }

  /** An engine's words, unless they have a clear name in them that is not signed (K-PSEUDONYM). */
  #reasonIn(words: unknown): string | undefined {
    return typeof words === 'string' && this.#names?.areIn(words) === true ? WITHHELD : toReason(words)
  }

  /** An error as the log may have it: without its causes, where one of them names somebody (K-PSEUDONYM). */
  #tellable(error: unknown): unknown {
    const names = this.#names
    if (names === undefined) return error
    if (error instanceof PolicyDeniedError && names.areIn(`${error.reason} ${describeError(error)}`)) {
      const { code, policies, entryId } = error
      return new PolicyDeniedError(code, { policies, entryId, reason: WITHHELD })
    }
    if (!names.areIn(describeError(error))) return error
    return error instanceof KestError ? new KestError(error.code, WITHHELD) : new Error(WITHHELD)
  }

  /** As it is thrown, where somebody has a clear name: what caused it may hold that as a member, such as the question (K-PSEUDONYM). */
  #bare(error: KestError): KestError {
    if (this.#names === undefined || this.#names === Names.NONE || error.cause === undefined) return error
    if (!(error instanceof PolicyDeniedError)) return new KestError(error.code, error.message)
    const { code, policies, entryId, reason } = error
    return new PolicyDeniedError(code, { policies, entryId, ...(reason !== undefined && { reason }) })
  }

  /** Where outages are told apart by what was asked, whatever operation needs it. */
  #asked(code: string): string {
    if (code.startsWith('ERR_KEST_ENGINE')) return this.#engine
    if (code === 'ERR_KEST_IDENTITY') return this.#identity
    return code === 'ERR_KEST_AUDIT_UNAVAILABLE' ? AUDIT_TRAIL : this.#definition.operation
  }

  /** Whose answer is missing: each tier may have another's (K-ENGINE). */
  get #engine(): string {
    return addressOf(this.#questions[this.#allowed]?.engine ?? this.#runtime.engine)
  }

  get #identity(): string {
    const { identity, operation } = this.#definition
    return identity === undefined ? IDENTITY : `${IDENTITY} of ${operation}`
  }

  #details() {
    return {
      operation: this.#definition.operation,
      ...this.#about?.(),
      entry_id: this.#draft?.entry_id,
      workload_id: this.#draft?.labels[LABEL.principal],
    }
  }
}

function addressOf(engine: PolicyEngine | null): string {
  return engine?.address ?? 'policy engine'
}
