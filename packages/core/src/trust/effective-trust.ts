import { type KestEntry, LABEL } from '../entry/entry.js'
import { type EffectiveParent, type EffectiveRules, principalOf, type Remarks } from './effective-rules.js'
import { forbidRaises, UNPROVEN_TAINT } from './reserved.js'

const DECIMAL = /^(?:0|-?[1-9][0-9]{0,14})$/

/** The trust of an entry as its lineage bears it out, and what the reader's lists leave of it. */
export interface TrustScores {
  readonly plain: number
  readonly effective: number
}

/**
 * What an entry claims is a bound, never a gain (K-EFF). The reader's lists and ceilings only lower what follows; the finding
 * is about what follows without them (K-ROOTS).
 */
export function trustOf(
  entry: KestEntry,
  parents: readonly EffectiveParent[],
  taints: { readonly plain: readonly string[]; readonly effective: readonly string[] },
  rules: EffectiveRules,
  unlisted: boolean,
  remarks: Remarks,
): TrustScores {
  const principal = principalOf(entry)
  const claimed = entry.trust_score
  const ceiling = rules.ceiling(principal) ?? 100
  if (parents.length === 0) {
    const plain = taints.plain.includes(UNPROVEN_TAINT) ? 0 : claimed
    if (plain < claimed) remarks.add('trust-raised', `claims trust ${claimed}; unproven lineage has none`)
    const granted = unlisted ? 0 : (rules.roots?.grantOf(principal)?.ceiling ?? 100)
    return { plain, effective: Math.min(plain, granted, ceiling) }
  }
  let inheritedPlain = 100
  let inherited = 100
  for (const parent of parents) {
    inheritedPlain = Math.min(inheritedPlain, parent.plain.trustScore)
    inherited = Math.min(inherited, parent.trustScore)
  }
  if (claimed <= inherited) return { plain: claimed, effective: Math.min(claimed, ceiling) }
  const raises = overrides(entry) && rules.mayRaise(principal)
  let plain = claimed
  if (claimed > inheritedPlain && !(raises && !forbidRaises(taints.plain))) {
    plain = inheritedPlain
    remarks.add('trust-raised', `claims trust ${claimed}; its lineage gives ${inheritedPlain}`)
  }
  const raised =
    raises && !forbidRaises(taints.effective)
      ? Math.min(claimed, Math.max(inherited, rules.roots?.grantOf(principal)?.ceiling ?? 100))
      : inherited
  return { plain, effective: Math.min(raised, ceiling) }
}

/** The label says what was set, so a label that says another number than the entry claims says nothing (K-OVERRIDE). */
export function overrides(entry: KestEntry): boolean {
  const label = entry.labels[LABEL.trustOverride]
  if (label === undefined || !DECIMAL.test(label)) return false
  return Math.min(100, Math.max(0, Number(label))) === entry.trust_score
}
