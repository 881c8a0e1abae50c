/** Origins, taints and labels whose names begin so are Kest's alone (K-RESERVED). */
export const RESERVED_PREFIX = 'kest.'

/** In effect where lineage was begun by whom the reader's list does not name (K-ROOTS). */
export const UNLISTED_ROOT_TAINT = 'kest.unlisted-root'
/** In effect where somebody was signed in without the authority for it (K-SWITCH). */
export const IDENTITY_SWITCHED_TAINT = 'kest.identity-switched'
/** Where a request comes from that was let in without lineage (K-OPTIONAL). Nothing that began so is trusted. */
export const UNPROVEN_ORIGIN = 'kest.unproven'
/** In effect where a request without lineage was let in (K-OPTIONAL). */
export const UNPROVEN_TAINT = 'kest.unproven'
/** In effect where something was let through that would be refused, if it were not only observed (K-OBSERVE). */
export const OBSERVED_TAINT = 'kest.observed'
/** Stands for taints of receipts of which there were too many to take them over by name (K-RECEIPT). */
export const RECEIPT_TAINTS_TAINT = 'kest.receipt-taints'

/** What stands for somebody begins so, and no clear name (K-PSEUDONYM). */
export const PSEUDONYM_PREFIX = 'kest-p1.'

/** Whether a text means to be a pseudonym: a clear name that does is refused. */
export function looksLikePseudonym(text: string): boolean {
  return text.startsWith(PSEUDONYM_PREFIX)
}

/** Whether a name is Kest's alone. */
export function isReserved(name: string): boolean {
  return name.startsWith(RESERVED_PREFIX)
}

/** Whether no raise of trust counts beside these taints (K-ROOTS). */
export function forbidRaises(taints: readonly string[]): boolean {
  return taints.length > 0 && (taints.includes(UNLISTED_ROOT_TAINT) || taints.includes(UNPROVEN_TAINT))
}
