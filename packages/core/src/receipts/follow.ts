import { isReserved, OBSERVED_TAINT, RECEIPT_TAINTS_TAINT } from '../trust/reserved.js'
import type { Followed } from './held-receipts.js'

/** Taints that one entry takes over from receipts at most (K-RECEIPT). */
const MAX_FOLLOWED = 32
/** How many taints, and characters of them, an entry may have for more to be taken over by name. */
const ROOM = { taints: 128, characters: 4096 } as const

/** What an entry takes over from the receipts that its frame holds. */
export interface Following {
  /** The most trust that it may have; 100 where nothing is followed. */
  readonly trustScore: number
  readonly addedTaints: readonly string[]
}

/**
 * What an entry takes over (K-RECEIPT, `follow`). A callee chooses the names: those for which there is no room, and more than
 * 32, are stood for by the one taint `kest.receipt-taints`, so that none is dropped in silence and no callee makes entries
 * too large. Of Kest's own taints, which say how lineage began, only `kest.observed` is taken from a callee.
 *
 * @param inherited taints that the entry has anyhow
 * @param removed those that it may remove, which it does here as well
 */
export function followReceipts(
  followed: readonly Followed[],
  inherited: readonly string[],
  removed: readonly string[],
): Following {
  let trustScore = 100
  const wanted = new Set<string>()
  for (const one of followed) {
    trustScore = Math.min(trustScore, one.trustScore)
    for (const taint of one.taints)
      if (isFollowed(taint) && !inherited.includes(taint) && !removed.includes(taint)) wanted.add(taint)
  }
  const addedTaints: string[] = []
  let { taints, characters } = ROOM
  taints -= inherited.length
  for (const taint of inherited) characters -= taint.length
  for (const taint of [...wanted].sort()) {
    characters -= taint.length
    if (addedTaints.length >= Math.min(MAX_FOLLOWED, taints) || characters < 0) break
    addedTaints.push(taint)
  }
  const stands = [...inherited, ...addedTaints].includes(RECEIPT_TAINTS_TAINT)
  if (addedTaints.length < wanted.size && !stands) addedTaints.push(RECEIPT_TAINTS_TAINT)
  return { trustScore, addedTaints }
}

function isFollowed(taint: string): boolean {
  return !isReserved(taint) || taint === OBSERVED_TAINT || taint === RECEIPT_TAINTS_TAINT
}
