import type { AuditedEntry } from '@kest/audit'

/**
 * What is known of a node: as an audit says of entries; `consistent` for one that is verified, but with keys of the file that it is in
 * (K-ANCHOR); `missing` for one that others name and that was never exported; `refused` for an operation of which its principal has
 * signed that it did not run (K-DENIAL), `denied` for one of which an unsigned span says so.
 */
export type NodeStatus = AuditedEntry['status'] | 'consistent' | 'missing' | 'refused' | 'denied'

/** One entry of a picture. Its texts are visible characters, not yet escaped for a format. */
export interface GraphNode {
  /** Position, from 0. */
  readonly index: number
  readonly status: NodeStatus
  /** Who signed it. */
  readonly title: string
  /** Below the title, the most important first. */
  readonly lines: readonly string[]
  readonly operation: string | null
  /** Effective (K-EFF). */
  readonly trust: number | null
  readonly taints: readonly string[]
  /** Everything, for whoever looks closer. */
  readonly details: readonly DetailSection[]
}

export interface DetailSection {
  readonly heading: string
  readonly fields: readonly (readonly [label: string, value: string])[]
}

export const STATUS: Readonly<Record<NodeStatus, string>> = {
  verified: 'verified',
  consistent: 'consistent with its keys',
  signed: 'signed, its lineage not proven',
  failed: 'does not hold',
  missing: 'never exported',
  refused: 'refused, as is signed',
  denied: 'denied, as an unsigned span says',
}

/** How far trust reaches; `unproven` wherever it is not verified with keys of the reader's own. */
export type TrustLevel = 'high' | 'medium' | 'low' | 'none' | 'unproven'

/** The least trust of each level. */
export const LEVELS: Readonly<Record<Exclude<TrustLevel, 'unproven'>, number>> = {
  high: 80,
  medium: 40,
  low: 1,
  none: 0,
}

export function levelOf({ status, trust }: Pick<GraphNode, 'status' | 'trust'>): TrustLevel {
  if (status !== 'verified' || trust === null) return 'unproven'
  if (trust >= LEVELS.high) return 'high'
  if (trust >= LEVELS.medium) return 'medium'
  return trust >= LEVELS.low ? 'low' : 'none'
}
