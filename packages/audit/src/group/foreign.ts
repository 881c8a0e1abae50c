import { entryHash, type Limits, ROOT_PARENT, verifyEntries } from '@kest/core'
import { isOfTrace, tryParse } from '../judge/collect.js'
import { draftLineage, type LineageDraft } from '../judge/lineage-draft.js'
import type { JudgeRules } from '../judge/options.js'
import { parentHashes } from '../judge/order.js'
import type { ExportedSpan } from '../span/exported-span.js'
import type { Partition } from './partition.js'

/** Times that all spans are looked through for entries of other traces. */
const MAX_PASSES = 32
/** Hashes of other traces' entries that are looked for. Anybody can name some, so they may not fill memory. */
const MAX_NAMED = 262_144

/** What traces name and do not have, and so may be in others. */
export class Named {
  readonly traces: Set<string | null> = new Set()
  readonly wanted: Set<string> = new Set()
  readonly claimed: Set<string> = new Set()
  /** Whether they name more than is looked for. */
  more = false

  /** @returns whether the lineages of the trace name anything that they do not have */
  add(traceId: string | null, drafts: readonly LineageDraft[]): boolean {
    let any = false
    for (const { wanted, claimed } of drafts) {
      if (wanted.size === 0 && claimed.size === 0) continue
      any = true
      this.#keep(this.wanted, wanted)
      this.#keep(this.claimed, claimed)
    }
    if (any) this.traces.add(traceId)
    return any
  }

  #keep(kept: Set<string>, hashes: ReadonlySet<string>): void {
    for (const hash of hashes) {
      if (kept.size < MAX_NAMED) kept.add(hash)
      else this.more = true
    }
  }
}

/** An entry of another trace. */
interface ForeignEntry {
  readonly jws: string
  readonly parents: readonly string[]
}

/** What other traces have of what was named. */
export interface Foreign {
  /** By hash: wanted entries, and what those build on. */
  readonly entries: ReadonlyMap<string, ForeignEntry>
  /** Claimed tips: they are there, and that is all there is to know. */
  readonly tips: ReadonlySet<string>
  /** Whether lineages go on in more traces, one after the other, than were followed. */
  readonly more: boolean
}

/**
 * Finds what is named wherever it is. Spans are looked through once for each time that a lineage goes on in another trace, and no
 * more than {@link MAX_PASSES} times: anybody can make entries that name others.
 *
 * @param partitions all spans, each time it is called
 */
export async function findForeign(
  { wanted, claimed }: Named,
  partitions: () => AsyncIterable<Partition>,
  limits: Limits,
): Promise<Foreign> {
  const entries = new Map<string, ForeignEntry>()
  const tips = new Set<string>()
  const open = new Set(wanted)
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const before = entries.size
    for await (const partition of partitions()) {
      const here = new Map<string, string>()
      for (const signature of partition.signatures()) here.set(entryHash(signature), signature)
      if (pass === 0) for (const hash of claimed) if (here.has(hash)) tips.add(hash)
      const pending = [...open].filter((hash) => here.has(hash))
      for (let hash = pending.pop(); hash !== undefined; hash = pending.pop()) {
        open.delete(hash)
        if (entries.has(hash)) continue
        const jws = here.get(hash) as string
        const parents = parentsIn(jws, limits)
        entries.set(hash, { jws, parents })
        for (const parent of parents) {
          if (entries.has(parent)) continue
          if (here.has(parent)) pending.push(parent)
          else open.add(parent)
        }
      }
    }
    if (open.size === 0 || entries.size === before) return { entries, tips, more: false }
  }
  return { entries, tips, more: true }
}

function parentsIn(jws: string, limits: Limits): readonly string[] {
  const parsed = tryParse(jws, limits)
  return 'jws' in parsed ? parsed.entry.parent_ids.filter((hash) => hash !== ROOT_PARENT) : []
}

/**
 * A lineage with what it builds on in other traces, and what that builds on: as much as a passport may hold. Only what a signed entry
 * names is drawn in. Anybody could name any lineage otherwise, and have it judged once more at the price of a span.
 */
export async function withForeign(
  traceId: string | null,
  spans: readonly ExportedSpan[],
  foreign: Foreign,
  rules: JudgeRules,
): Promise<LineageDraft> {
  const { limits } = rules
  const draft = draftLineage(traceId, spans, [], limits)
  const added = new Map<string, string>()
  const seen = new Set<string>()
  const pending = await signedLinks(traceId, draft, foreign, rules)
  const byHash = new Map([...draft.nodes.values()].map((node) => [node.parsed.hash, node]))
  for (let hash = pending.pop(); hash !== undefined && added.size < limits.entries; hash = pending.pop()) {
    if (seen.has(hash)) continue
    seen.add(hash)
    const entry = foreign.entries.get(hash)
    const local = byHash.get(hash)
    if (entry !== undefined) added.set(hash, entry.jws)
    pending.push(...(entry?.parents ?? (local === undefined ? [] : parentHashes(local))))
  }
  const elsewhere = new Set([...draft.claimed].filter((hash) => foreign.tips.has(hash)))
  return { ...(added.size === 0 ? draft : draftLineage(traceId, spans, added.values(), limits)), elsewhere }
}

/** Hashes that entries of this trace name and it has not, if their principals have signed them. */
async function signedLinks(
  traceId: string | null,
  { nodes, wanted }: LineageDraft,
  { entries }: Foreign,
  { verify }: JudgeRules,
): Promise<string[]> {
  const isOpen = (hash: string): boolean => wanted.has(hash)
  if (![...wanted].some((hash) => entries.has(hash))) return []
  const linking = [...nodes.values()].filter(
    (node) => isOfTrace(traceId, node) && parentHashes(node).some(isOpen),
  )
  const verdicts = await verifyEntries(
    linking.map(({ parsed }) => parsed),
    verify,
  )
  return linking.flatMap((node, i) =>
    verdicts[i]?.failure === null ? parentHashes(node).filter(isOpen) : [],
  )
}
