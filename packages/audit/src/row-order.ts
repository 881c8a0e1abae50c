/** In the order in which denials are reported; what is refused of lineage comes before. */
const TIERS = ['lineage', 'enterprise', 'platform', 'application', 'function']

/** The order of rows by a text, the same wherever they are printed. */
export function compareTexts(one: string, other: string): number {
  return one === other ? 0 : one < other ? -1 : 1
}

/** The order of rows by workload, operation and tier. */
export function compareRows(
  one: { readonly workload: string; readonly operation: string; readonly tier: string },
  other: typeof one,
): number {
  return (
    compareTexts(one.workload, other.workload) ||
    compareTexts(one.operation, other.operation) ||
    TIERS.indexOf(one.tier) - TIERS.indexOf(other.tier)
  )
}
