import type { KestErrorCode } from '@kest/core'

/**
 * How grave a finding is. `error`: something is not proven, or is missing. `warning`: what is proven is contradicted,
 * or strange. `note`: nothing is wrong, and an auditor should know.
 */
export type Severity = 'error' | 'warning' | 'note'

/** Code → severity. The one place where findings are declared; docs/auditing.md says what each means. */
const SEVERITY = {
  /** A `kest.signature` that is no entry. */
  malformed: 'error',
  /** An entry that does not hold: not signed by its principal, earlier than its parent, or built on such a one of another trace. */
  broken: 'error',
  /** No trust material holds a key for an entry's principal, or for one of another trace that it builds on. */
  'principal-unknown': 'error',
  /** Two different entries have one `entry_id`, in one trace or in two. */
  'entry-id-repeated': 'error',
  /** An entry names a parent that was never exported. */
  incomplete: 'error',
  /** A span, or a passport in one, claims a tip that never came. */
  cut: 'error',
  /** A span tells of an authorization without a signature. */
  unsigned: 'error',
  /** Numbers are missing between entries of one process, or between its signed denials. */
  'sequence-gap': 'error',
  /** Several principals sign the numbers of one process, and the operator did not say so: what one loses, another hides. */
  'sequence-shared': 'error',
  /** What a span has for a signed denial is none, or its principal has not signed it (K-DENIAL). */
  'denial-broken': 'error',
  /** A neighbour holds an entry that its own process did not export, or says so (K-RECEIPT): one of the two is contradicted. */
  'receipt-without-span': 'error',
  /** What a span has for a receipt is none, or its principal has not signed it (K-RECEIPT). */
  'receipt-broken': 'error',
  /** A workload of the roster has shown nothing verified in time (K-ROSTER). */
  silent: 'error',
  /** A bound was exceeded, and what lies beyond it was not judged. */
  limit: 'error',
  /** Something that was to be read cannot be. */
  unreadable: 'error',
  /** An entry was signed though the text that decided denies, or a denial is on record that it allows (K-REPLAY). */
  'policy-mismatch': 'error',
  /** A revision decided when it was not in force. */
  'revision-not-in-force': 'error',
  /** Different texts of policies have one name. */
  'revision-repeated': 'error',

  /** A span says something else than the entry in it. */
  'attribute-differs': 'warning',
  /** The `kest.passport` of a span is not the lineage of its entry. */
  'passport-differs': 'warning',
  /** The time that an entry states is not possible by when its span was received. */
  time: 'warning',
  /** Two entries of a process, or two signed denials, have one number. */
  'sequence-repeated': 'warning',
  /** The first numbers of a process are missing, though it is known to have run before what was exported of it. */
  'sequence-late': 'warning',
  /** An entry claims more trust than its lineage gives (K-EFF). */
  'trust-raised': 'warning',
  /** An entry does not claim a taint that its lineage gives (K-EFF). */
  'taint-dropped': 'warning',
  /** Entries of one lineage name different traces (K-TRACE). */
  'trace-differs': 'warning',
  /** Parents, or tips, disagree on who acts (K-IDENT). */
  'identity-conflict': 'warning',
  /** An entry signs in another than its lineage names, by who is no identity authority (K-SWITCH). */
  'identity-switched': 'warning',
  /** What says how an operation has ended is of none, or the second (K-OUTCOME). */
  'outcome-differs': 'warning',
  /** A message was handled twice, and it is not that its broker delivered it again (K-MESSAGE). */
  'message-repeated': 'warning',
  /** Lineage was begun by whom the list of roots does not have (K-ROOTS). */
  'unlisted-root': 'warning',

  /** The lineage ends in several tips. */
  forked: 'note',
  /** Who began lineage, with which trust, where no list says who may (K-ROOTS). */
  root: 'note',
  /** The trace has several roots. */
  'several-roots': 'note',
  /** An entry was exported more than once, or has a twin (K-LOWS). */
  duplicated: 'note',
  /** An entry raises trust above its lineage's, as its label says (K-EFF). */
  'trust-overridden': 'note',
  /** An entry takes taints of its lineage away, as its label says (K-EFF). */
  'taint-removed': 'note',
  /** A message was handled again because its broker delivered it again (K-MESSAGE). */
  'message-redelivered': 'note',
  /** What an entry's policies decided cannot be decided again, or would prove nothing. */
  'policy-unverifiable': 'note',
  /** The numbering of a process begins before what was exported. */
  'sequence-start': 'note',
  /** A line of a file, or what it begins with, is torn: whoever wrote it died, or had no room. It was never acknowledged. */
  torn: 'note',
  /** A text in a folder holds no spans; or exports of logs or metrics are not for an audit. */
  skipped: 'note',
} as const satisfies Record<string, Severity>

/** The closed set of findings. */
export type FindingCode = keyof typeof SEVERITY

/** All codes, the gravest first. */
export const FINDING_CODES: readonly FindingCode[] = Object.freeze(
  Object.keys(SEVERITY),
) as readonly FindingCode[]

/** Something that an auditor should know. Texts hold what strangers wrote: escape them for where they are shown. */
export interface AuditFinding {
  readonly code: FindingCode
  readonly severity: Severity
  readonly message: string
  /** Why an entry does not hold, in the words of `@kest/core`. */
  readonly cause: KestErrorCode | null
  /** The entry concerned: of `cut`, the one that never came. */
  readonly entryHash: string | null
  /** Where it was read: `file:line`. */
  readonly place: string | null
  /** How often it was made: of one trace, the first thousand of a code are told apart, and the last stands for all others. */
  readonly times: number
}

/** What a finding has beside its code and text. */
export type FindingDetails = Partial<Pick<AuditFinding, 'cause' | 'entryHash' | 'place' | 'times'>>

export function finding(code: FindingCode, message: string, details: FindingDetails = {}): AuditFinding {
  const { cause = null, entryHash = null, place = null, times = 1 } = details
  return Object.freeze({ code, severity: SEVERITY[code], message, cause, entryHash, place, times })
}

export function severityOf(code: FindingCode): Severity {
  return SEVERITY[code]
}
