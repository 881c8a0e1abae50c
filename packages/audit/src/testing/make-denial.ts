import { ATTRIBUTE, canonicalize, type KestDenial, LABEL, type Signer, SPAN_PREFIX } from '@kest/core'
import { type MadeEntry, nextId, signAs } from './make-entry.js'
import type { OtlpSpan } from './make-span.js'

export interface MadeDenial {
  readonly jws: string
  readonly denial: KestDenial
}

/** A denial as a workload might sign it, whatever it claims. */
export function makeDenial(
  signer: Signer,
  parents: readonly MadeEntry[],
  claim: Partial<KestDenial> = {},
): MadeDenial {
  const last = parents.at(-1)?.entry
  const denial: KestDenial = {
    denial_id: nextId(),
    principal: signer.workloadId,
    operation: 'GET /orders/:id',
    code: 'ERR_KEST_DENIED',
    policies: ['orders/read'],
    parents: parents.map(({ hash }) => hash),
    trace_id: last?.labels[LABEL.traceId] ?? null,
    n: '3f2b8c1e-0000-4000-9000-000000000000:1',
    timestamp_ms: (last?.timestamp_ms ?? Date.UTC(2026, 0, 31, 12)) + 1,
    ...claim,
  }
  return { jws: signAs(signer, 'kest-denial', canonicalize(denial)), denial }
}

/** The audit span of a signed denial, as the hook writes it. */
export function signedDenialOf({ jws, denial }: MadeDenial, traceId?: string): OtlpSpan {
  const trace = denial.trace_id ?? traceId ?? 'e'.repeat(32)
  return {
    name: SPAN_PREFIX + denial.operation,
    traceId: trace,
    spanId: denial.denial_id.replaceAll('-', '').slice(16),
    attributes: {
      [ATTRIBUTE.entryId]: denial.denial_id,
      [ATTRIBUTE.operation]: denial.operation,
      [ATTRIBUTE.workloadId]: denial.principal,
      [ATTRIBUTE.parentHash]: denial.parents.length === 0 ? '0' : denial.parents.join(','),
      [ATTRIBUTE.traceId]: trace,
      [ATTRIBUTE.decision]: 'deny',
      [ATTRIBUTE.errorType]: denial.code,
      [ATTRIBUTE.denial]: jws,
    },
  }
}
