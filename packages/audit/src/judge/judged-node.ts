import type { EntryVerdict } from '@kest/core'
import { placeText } from '../span/exported-span.js'
import type { EntryStatus } from './audited-entry.js'
import type { Node } from './collect.js'

/** An entry of which it is known what holds. */
export interface JudgedNode extends Node {
  readonly verdict: EntryVerdict
  readonly status: EntryStatus
}

export function isExported(source: Node['source']): boolean {
  return source !== 'passport'
}

/** Where it came from, for a finding. */
export function detailsOf({ parsed, spans }: Node): { entryHash: string; place: string | null } {
  const [first] = spans
  return { entryHash: parsed.hash, place: first === undefined ? null : placeText(first.place) }
}
