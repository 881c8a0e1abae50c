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
  /** Hashes of what it was to build on, the first 8. */
  readonly parents: readonly string[]
}

/** Parents that are kept: strangers write them, and a thousand denials of each trace. */
const MAX_PARENTS = 8
const HASH = /^[0-9a-f]{64}$/

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
    parents: parentsOf(claims.parentHash),
  })
}

function parentsOf(claim: unknown): readonly string[] {
  if (typeof claim !== 'string') return Object.freeze([])
  // A part of a string would hold all of it in memory.
  const first = Buffer.from(claim.slice(0, 65 * MAX_PARENTS), 'latin1').toString('latin1')
  return Object.freeze(first.split(',', MAX_PARENTS).filter((hash) => HASH.test(hash)))
}

function textOf(claim: unknown): string | null {
  return typeof claim === 'string' ? claim : null
}
