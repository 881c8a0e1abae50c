/** How an entry's trust follows from its parents' (F-TS-04). Replaceable. */
export interface TrustEvaluator {
  /**
   * @param selfScore trust of the operation's own origin, integer 0…100; 100 when it has none
   * @param parentScores effective trust of the parents; empty for a root
   * @returns an integer 0…100
   */
  calculate(selfScore: number, parentScores: readonly number[]): number
}

/**
 * `floor(min(parents) × self / 100)`; a root has its own score (SPEC §5). Integers only, so that every implementation
 * gets the same (NF-CORR-03).
 */
export const defaultTrustEvaluator: TrustEvaluator = Object.freeze({
  calculate(selfScore: number, parentScores: readonly number[]): number {
    if (parentScores.length === 0) return selfScore
    return Math.floor((Math.min(...parentScores) * selfScore) / 100)
  },
})
