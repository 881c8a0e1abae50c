import type { KestDenial } from '../denial/denial.js'
import { LABEL } from '../entry/entry.js'
import { KestError, type KestErrorCode, PolicyDeniedError } from '../errors.js'
import type { Lineage } from '../passport/lineage.js'
import { uuidV7 } from './random.js'

/** What is no refusal: whoever asked has left, or asked too late; and what cannot be proven, since nobody can sign or keep it. */
const NOT_PROVABLE: ReadonlySet<KestErrorCode> = new Set<KestErrorCode>([
  'ERR_KEST_ABORTED',
  'ERR_KEST_STATE_ENDED',
  'ERR_KEST_IDENTITY',
  'ERR_KEST_AUDIT_UNAVAILABLE',
])

/** Whether that an operation did not run for this can be signed. */
export function isProvable(error: unknown): error is KestError {
  return error instanceof KestError && !NOT_PROVABLE.has(error.code)
}

/** What a denial states, but for who signs it and its number. */
export type DenialFacts = Omit<KestDenial, 'principal' | 'n' | 'unsigned'>

/** What was to be, and was refused. */
export interface RefusedAttempt {
  readonly operation: string
  /** Of the entry that there is not, as far as it came: policies were asked under this id. */
  readonly entryId: string | undefined
  readonly lineage: Lineage
  readonly timestampMs: number
}

/** Of a refusal, what its principal knows: what it did not verify, it does not state (K-DENIAL). */
export function denialOf(error: KestError, attempt: RefusedAttempt): DenialFacts {
  const { operation, entryId, lineage, timestampMs } = attempt
  return {
    denial_id: entryId ?? uuidV7(),
    operation,
    code: error.code,
    policies: error instanceof PolicyDeniedError ? error.policies : [],
    ...verifiedOf(lineage),
    timestamp_ms: timestampMs,
  }
}

const NOTHING: Pick<KestDenial, 'parents' | 'trace_id'> = Object.freeze({
  parents: Object.freeze([]),
  trace_id: null,
})

function verifiedOf({ tips }: Lineage): Pick<KestDenial, 'parents' | 'trace_id'> {
  if (tips.length === 0 || !tips.every(({ proven }) => proven)) return NOTHING
  const [traceId, ...others] = new Set(tips.map(({ entry }) => entry.labels[LABEL.traceId]))
  return { parents: tips.map(({ hash }) => hash), trace_id: others.length > 0 ? null : (traceId ?? null) }
}
