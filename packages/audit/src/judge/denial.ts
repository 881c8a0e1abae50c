import { type ExportedSpan, placeText } from '../span/exported-span.js'

/** An operation that was refused, as a span tells: unsigned, and no evidence (K-AUDIT). */
export interface Denial {
  readonly operation: string | null
  readonly workloadId: string | null
  readonly entryId: string | null
  readonly code: string | null
  readonly reason: string | null
  readonly service: string | null
  readonly place: string
}

/** What was denied has no entry, and so neither a hash nor a passport: a span with these was one of an entry. */
export function isDenial({ claims: { decision, chainTip, passport } }: ExportedSpan): boolean {
  return decision === 'deny' && chainTip === undefined && passport === undefined
}

export function denialOf({ claims, service, place }: ExportedSpan): Denial {
  return Object.freeze({
    operation: textOf(claims.operation),
    workloadId: textOf(claims.workloadId),
    entryId: textOf(claims.entryId),
    code: textOf(claims.errorType),
    reason: textOf(claims.reason),
    service,
    place: placeText(place),
  })
}

function textOf(claim: unknown): string | null {
  return typeof claim === 'string' ? claim : null
}
