import type { TracerProvider } from '@opentelemetry/api'
import type { MaybePromise } from '../maybe-promise.js'

/**
 * What keeps the records of authorizations, where it has a say in them; `@kest/telemetry` makes one. The records
 * themselves reach it as spans, through its tracer provider. This is how it makes an operation wait, or refuses it,
 * rather than lose its record.
 */
export interface AuditTrail {
  /**
   * Asks for room for one record: after the last policy allowed, and before the key is used (K-ORDER).
   *
   * @param signal aborts when whoever asked has left
   * @returns `null` where the operation goes on without a further word
   * @throws {KestError} `ERR_KEST_AUDIT_UNAVAILABLE`, or `ERR_KEST_ABORTED` when `signal` aborts first: nothing is
   *   signed, and the operation does not run
   */
  reserve(signal: AbortSignal | null): MaybePromise<AuditSlot | null>
}

/** Room for one record. It is given back by one of these, whichever comes first. */
export interface AuditSlot {
  /**
   * The span has ended, which is the record. The operation runs when this settles.
   *
   * @param spanId of that span; `undefined` where nothing traced it
   * @throws {KestError} `ERR_KEST_AUDIT_UNAVAILABLE`, or `ERR_KEST_ABORTED`: the operation does not run. Its entry is
   *   signed and may still be exported.
   */
  recorded(spanId: string | undefined): MaybePromise<void>
  /** There will be no record. */
  release(): void
}

/** By name, as providers may come from a copy of this package of their own. */
const TRAIL = Symbol.for('kest.audit-trail.1')

/**
 * Says that what is traced with the provider is kept.
 *
 * @param trail has to be asked then; `null`: what keeps the records has no say in what runs
 */
export function bindAuditTrail(provider: TracerProvider, trail: AuditTrail | null): void {
  Object.defineProperty(provider, TRAIL, { value: trail })
}

/** The trail that has to be asked; `undefined` when there is none that has a say. */
export function auditTrailOf(provider: TracerProvider): AuditTrail | undefined {
  return (provider as { readonly [TRAIL]?: AuditTrail | null })[TRAIL] ?? undefined
}

/** Whether what is traced with the provider is kept as an audit trail. */
export function isAudited(provider: TracerProvider): boolean {
  return TRAIL in provider
}
