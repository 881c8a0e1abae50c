import { KEST_ERROR_CODES, type KestEntry, type KestErrorCode, LABEL } from '@kest/core'

/** A refusal that an entry has on record, of a policy or of lineage. `_OTHER` is a code that Kest does not have. */
export interface ObservedItem {
  readonly tier: string
  readonly policy: string | null
  readonly code: KestErrorCode | '_OTHER'
}

/** What an entry says of what was only observed (K-OBSERVE). */
export interface ObservedRecord {
  readonly items: readonly ObservedItem[]
  /** Whether there is more of it than can be read. */
  readonly more: boolean
}

const NOTHING: ObservedRecord = Object.freeze({ items: Object.freeze([]), more: false })
const CODES: ReadonlySet<unknown> = new Set(KEST_ERROR_CODES)

/** Whoever signs writes the label: what is no list of refusals is as bad as one of unknown ones. */
export function observedRecordOf({ labels }: KestEntry): ObservedRecord {
  const text = labels[LABEL.observed]
  const leftOut = labels[LABEL.observedLeftOut] !== undefined
  if (text === undefined) return leftOut ? { items: [], more: true } : NOTHING
  const list = parse(text)
  const items = list.flatMap((one) => itemOf(one) ?? [])
  return { items, more: leftOut || list.length === 0 || items.length < list.length }
}

function parse(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}

function itemOf(value: unknown): ObservedItem | undefined {
  const { tier, policy, code } = (value ?? {}) as Readonly<Record<string, unknown>>
  if (typeof tier !== 'string' || (policy !== null && typeof policy !== 'string')) return undefined
  return { tier, policy, code: CODES.has(code) ? (code as KestErrorCode) : '_OTHER' }
}
