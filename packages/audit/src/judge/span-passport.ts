import type { Limits } from '@kest/core'
import { type AuditFinding, finding } from '../finding.js'
import type { ExportedSpan } from '../span/exported-span.js'
import type { HeldPassport, Node } from './node.js'

/** The strings of a span's `kest.passport`; `undefined` when there is none, or it is none. */
export function passportOf(
  { claims: { passport: text } }: ExportedSpan,
  limits: Limits,
): readonly string[] | undefined {
  if (typeof text !== 'string' || text.length > limits.passportBytes || text.includes('{')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every((jws) => typeof jws === 'string') ? value : undefined
  } catch {
    return undefined
  }
}

export const LACKS_PARENT = 'the passport in the span lacks a parent of its entry'
const HOLDS_STRANGER = 'the passport in the span holds an entry that does not hold, or is of another lineage'

export function passportFinding({ hash }: Node, place: string, message: string): AuditFinding {
  return finding('passport-differs', message, { entryHash: hash, place })
}

/** Passports that hold what is known to be no entry of the lineage differ, and are not kept any longer. */
export function settlePassports(
  node: Node,
  isForgotten: (stranger: Node) => boolean,
  contradict: (node: Node, one: AuditFinding) => void,
): void {
  const { passports } = node
  node.passports = passports?.filter(({ place, strangers }) => {
    const differs = strangers.some(isForgotten)
    if (differs) contradict(node, passportFinding(node, place, HOLDS_STRANGER))
    return !differs
  })
}

/** Where a passport ends with its span's own entry, and is not its lineage all the same. */
export function heldPassportFinding(
  node: Node,
  { place, strangers, lacksParent }: HeldPassport,
  ours: ReadonlySet<Node>,
): AuditFinding | null {
  if (!strangers.every((stranger) => ours.has(stranger))) return passportFinding(node, place, HOLDS_STRANGER)
  return lacksParent ? passportFinding(node, place, LACKS_PARENT) : null
}
